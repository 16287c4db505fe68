/** The time, for what says how long ago something was: drawn anew from time to time while somebody looks. */

import { useEffect, useState } from "preact/hooks";

export function useClock(everyMs: number, isGoing = true): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (!isGoing) return;
    const tick = () => document.hidden || setNow(Date.now());
    const timer = setInterval(tick, everyMs);
    document.addEventListener("visibilitychange", tick);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", tick);
    };
  }, [everyMs, isGoing]);
  return isGoing ? Math.max(now, Date.now()) : now;
}
