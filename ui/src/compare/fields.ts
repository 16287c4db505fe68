/** What the compared runs have, and in what of it they differ. */

import { type Field, fieldOf } from "../charts/small/values";
import type { ComparedRun } from "./compared";

export interface Differences {
  readonly params: readonly Field[];
  readonly metrics: readonly Field[];
  readonly tags: readonly Field[];
  /** The same in all runs. */
  readonly same: readonly Field[];
}

/** Tags that tell one run from another by their nature, and would always differ. */
const TELLTALES =
  /^(mlflow\.(runName|user|rootRunId|parentRunId|loggedArtifacts|log-model\.history|source\.git\.commit)|slipstream\.(command|host|end\.|console))/;

export function differencesOf(runs: readonly ComparedRun[]): Differences {
  const params = fieldsOf(runs, "params");
  const metrics = fieldsOf(runs, "metrics").sort(
    (one, other) => Number(isSystem(one)) - Number(isSystem(other)),
  );
  const tags = fieldsOf(runs, "tags").filter((field) => !TELLTALES.test(field.title));
  // a param and a metric of one name are told apart by their whole names
  const metricNames = new Set(metrics.map((field) => field.title));
  const twice = new Set(params.map((field) => field.title).filter((title) => metricNames.has(title)));
  for (const all of [params, metrics])
    all.forEach((field, at) => {
      if (twice.has(field.title)) all[at] = { ...field, title: field.name };
    });
  const differ = (field: Field) => field.differs;
  return {
    params: params.filter(differ),
    metrics: metrics.filter(differ),
    tags: tags.filter(differ),
    same: [...params, ...metrics, ...tags].filter((field) => !field.differs),
  };
}

const isSystem = (field: Field) => field.name.startsWith("metrics.system/");

function fieldsOf(runs: readonly ComparedRun[], entity: "params" | "metrics" | "tags"): Field[] {
  const keys = new Set<string>();
  for (const run of runs) for (const key of run[entity].keys()) keys.add(key);
  const order = new Intl.Collator("en", { numeric: true });
  return (
    [...keys]
      .sort(order.compare)
      .map((key) =>
        fieldOf(
          `${entity}.${key}`,
          runs.map((run) => run[entity].get(key)),
        ),
      )
      // what few runs have comes last
      .sort((one, other) => holders(other) - holders(one))
  );
}

const holders = (field: Field) => field.texts.filter((text) => text !== undefined).length;
