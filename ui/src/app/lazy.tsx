/** A part of a page that is loaded when it is first shown. */

import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { ApiError } from "../api/request";
import { Failure, Skeleton } from "./states";

export function lazy<P extends object>(load: () => Promise<ComponentType<P>>): ComponentType<P> {
  let loaded: ComponentType<P> | undefined;
  return function Lazy(props: P) {
    const [, setReady] = useState(false);
    const [error, setError] = useState<ApiError>();
    useEffect(() => {
      if (loaded) return;
      load().then(
        (component) => {
          loaded = component;
          setReady(true);
        },
        () =>
          setError(
            new ApiError(
              "This part could not be loaded. The server may have been updated: load the page anew.",
              0,
              "",
            ),
          ),
      );
    }, []);
    if (error) return <Failure error={error} retry={() => location.reload()} />;
    const Component = loaded;
    return Component ? <Component {...props} /> : <Skeleton />;
  };
}
