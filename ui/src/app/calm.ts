/** Do something soon, and when it is asked for again and again, only so often. */

import { useEffect, useMemo, useRef } from "preact/hooks";
import type { Resource } from "../api/resource";

/**
 * Return what asks for `call`: it is done when `everyMs` have passed since it was done last, and after `firstMs` at the
 * earliest: what a page did itself comes back as a change, and it may be leaving already.
 */
export function useCalm(call: () => void, everyMs: number, firstMs = 0): () => void {
  const latest = useRef(call);
  latest.current = call;
  const calm = useMemo(() => calmly(() => latest.current(), everyMs, firstMs), [everyMs, firstMs]);
  useEffect(() => calm.stop, [calm]);
  return calm.ask;
}

/** The same for what is read: what is on its way is waited for, since giving it up again and again would never show any. */
export function useCalmReload(resource: Resource<unknown>, everyMs: number, firstMs = 0): () => void {
  const ask = useCalm(
    () => {
      if (resource.isLoading.peek()) ask();
      else void resource.reload();
    },
    everyMs,
    firstMs,
  );
  return ask;
}

export function calmly(
  call: () => void,
  everyMs: number,
  firstMs = 0,
): { ask: () => void; stop: () => void } {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let last = -everyMs;
  const now = () => {
    timer = undefined;
    last = performance.now();
    call();
  };
  return {
    ask() {
      if (timer !== undefined) return;
      const left = Math.max(firstMs, last + everyMs - performance.now());
      if (left <= 0) now();
      else timer = setTimeout(now, left);
    },
    stop: () => clearTimeout(timer),
  };
}
