/** A part of a page that is loaded when it is first shown, so that those who don't look at it don't wait for it. */

import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { ApiError } from "../api/request";
import { Failure, Skeleton } from "./states";

export function part<P extends object>(load: () => Promise<ComponentType<P>>): ComponentType<P> {
  let found: ComponentType<P> | undefined;
  return function Part(props: P) {
    const [, setReady] = useState(false);
    const [error, setError] = useState<ApiError>();
    useEffect(() => {
      if (found) return;
      load().then(
        (component) => {
          found = component;
          setReady(true);
        },
        () => setError(new ApiError("This part of the page could not be loaded. Load the page anew.", 0, "")),
      );
    }, []);
    if (error) return <Failure error={error} retry={() => location.reload()} />;
    const Found = found;
    return Found ? <Found {...props} /> : <Skeleton />;
  };
}
