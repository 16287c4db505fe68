/** What stands in the place of data: on its way, none, or what went wrong and what to do about it. */

import type { ComponentChildren } from "preact";
import { useLayoutEffect, useState } from "preact/hooks";
import type { ApiError } from "../api/request";

/** Whether nothing else on the page is its heading: those who hear the page need one whatever state it is in. */
function useIsAlone(): boolean {
  const [isAlone, setAlone] = useState(false);
  useLayoutEffect(() => setAlone(!document.querySelector("main h1")), []);
  return isAlone;
}

/** Grey lines in the form of what will come; said to screen readers once. */
export function Skeleton({ lines = 6 }: { lines?: number }) {
  const isAlone = useIsAlone();
  return (
    <>
      {isAlone && <h1 class="hidden-text">Loading</h1>}
      <div class="skeleton" role="status" aria-label="Loading">
        {Array.from({ length: lines }, (_, index) => (
          <div key={index} />
        ))}
      </div>
    </>
  );
}

export function Failure({ error, retry }: { error: ApiError; retry?: () => void }) {
  const isAlone = useIsAlone();
  return (
    <>
      {isAlone && <h1 class="hidden-text">This page could not be read</h1>}
      <div class="failure" role="alert">
        <p>{error.message}</p>
        {retry && (
          <button type="button" onClick={retry}>
            Try again
          </button>
        )}
      </div>
    </>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  const isAlone = useIsAlone();
  return (
    <div class="empty">
      {isAlone ? <h1>{title}</h1> : <h2>{title}</h2>}
      {children}
    </div>
  );
}
