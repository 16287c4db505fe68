/** Reading again by itself what could not be read because the server, or the way to it, was away for a while. */

const PAUSES_MS = [4000, 8000, 15_000, 30_000];

export interface Again {
  /** Told of each failure: what may pass is tried again after a pause. */
  failed(error: unknown): void;
  /** Told that it was read, or that nobody waits for it any more. */
  settled(): void;
}

/** What would be read again, as soon as the way is there. */
const waiting = new Set<() => void>();

export function again(call: () => void): Again {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let failures = 0;
  const stop = () => {
    clearTimeout(timer);
    waiting.delete(now);
  };
  const now = () => {
    stop();
    call();
  };
  return {
    failed(error) {
      stop();
      if ((error as { mayPass?: boolean } | undefined)?.mayPass !== true) return;
      const pause = PAUSES_MS[Math.min(failures++, PAUSES_MS.length - 1)] as number;
      waiting.add(now);
      timer = setTimeout(
        () => {
          // of a page that nobody sees nothing is asked; it is when it is seen again
          if (!globalThis.document?.hidden) now();
        },
        pause * (0.75 + Math.random() / 2),
      );
    },
    settled() {
      failures = 0;
      stop();
    },
  };
}

/** Read at once all that waits: the server answers again, the device has a network, or somebody came back to the page. */
export function askAgain(): void {
  for (const call of [...waiting]) call();
}
