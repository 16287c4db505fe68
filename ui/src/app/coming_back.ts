/** What to do when the page is looked at again, for what the server does not tell by itself. */

import { useEffect, useRef } from "preact/hooks";

export function useComingBack(call: () => void): void {
  const latest = useRef(call);
  latest.current = call;
  useEffect(() => {
    const look = () => {
      if (!document.hidden) latest.current();
    };
    document.addEventListener("visibilitychange", look);
    return () => document.removeEventListener("visibilitychange", look);
  }, []);
}
