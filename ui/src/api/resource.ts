/** Something of the server's that a page shows: what was read last stays while the next is on its way. */

import { type Signal, signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { again } from "./again";
import { ApiError } from "./request";

export interface Resource<T> {
  /** What was read last; `undefined` before the first answer. */
  readonly value: Signal<T | undefined>;
  readonly error: Signal<ApiError | undefined>;
  readonly isLoading: Signal<boolean>;
  /** Read again. */
  reload(): Promise<void>;
}

/**
 * Read when the component appears, and again when `key` changes; the request before is given up. What could not be read
 * because the server was away is read again by itself.
 */
export function useResource<T>(key: string, read: (signal: AbortSignal) => Promise<T>): Resource<T> {
  const resource = useMemo(() => {
    const value = signal<T | undefined>(undefined);
    const error = signal<ApiError | undefined>(undefined);
    const isLoading = signal(true);
    let current: AbortController | undefined;
    const retry = again(() => void state.reload());
    const state = {
      value,
      error,
      isLoading,
      read,
      async reload() {
        current?.abort();
        const mine = new AbortController();
        current = mine;
        isLoading.value = true;
        try {
          const found = await state.read(mine.signal);
          if (current !== mine) return;
          value.value = found;
          error.value = undefined;
          retry.settled();
        } catch (failure) {
          if (mine.signal.aborted) return;
          error.value =
            failure instanceof ApiError ? failure : new ApiError(String(failure), -1, "PAGE_FAULT");
          retry.failed(failure);
        }
        if (current === mine) isLoading.value = false;
      },
      stop() {
        current?.abort();
        retry.settled();
      },
    };
    return state;
  }, []);
  resource.read = read;
  useEffect(() => {
    void resource.reload();
    return resource.stop;
  }, [key]);
  return resource;
}
