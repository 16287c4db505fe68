/** The curve of a metric in a run's row. What draws it comes when a column first shows curves, and of a screenful in one request. */

import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";

type Sparks = typeof import("../charts/sparks");

let sparks: Sparks | undefined;
let coming: Promise<Sparks> | undefined;

function load(): Promise<Sparks> {
  coming ??= import("../charts/sparks").then((found) => {
    sparks = found;
    return found;
  });
  return coming;
}

/** Have the curves of runs that logged read anew. */
export function forgetCurves(runs: ReadonlySet<string>): void {
  sparks?.forgetSparks(runs);
}

interface Props {
  readonly run: string;
  readonly metric: string;
  readonly width: number;
}

export function SparkCell(props: Props) {
  const [, setReady] = useState(sparks !== undefined);
  useEffect(() => {
    // without it the cell stays empty: the numbers beside it are there all the same
    if (!sparks)
      load().then(
        () => setReady(true),
        () => (coming = undefined),
      );
  }, []);
  const Curve: ComponentType<Props> | undefined = sparks?.SparkOf;
  return Curve ? <Curve {...props} /> : null;
}
