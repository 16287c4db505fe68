/** Look again at what goes on, as long as it goes on and somebody looks. */

import { useEffect } from "preact/hooks";

export function useFollow(goesOn: boolean, look: () => unknown, everyMs: number): void {
  useEffect(() => {
    if (!goesOn) return;
    const timer = setInterval(() => {
      if (document.visibilityState === "visible") look();
    }, everyMs);
    return () => clearInterval(timer);
  }, [goesOn, everyMs]);
}
