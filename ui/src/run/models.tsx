/** The models that came out of a run, and the versions of registered models that were made from it. */

import { pageUrl } from "../app/router";
import { type ApiNumber, shortNumber, toNumber } from "../lib/format";
import { visibleLine } from "../lib/visible";
import { Register } from "./register";
import type { RunFacts } from "./run_data";

export function Models({ run }: { run: RunFacts }) {
  const { models: logged, versions } = run;
  const inputs = run.raw.inputs?.model_inputs ?? [];
  if (logged.length + versions.length + inputs.length === 0) return null;
  return (
    <section aria-labelledby="models-title">
      <h2 id="models-title">Models</h2>
      <ul class="plain-list">
        {versions.map((version) => (
          <li key={`${version.name} ${version.version}`}>
            <a href={pageUrl(["models", version.name, "versions", version.version])}>
              {visibleLine(version.name)} version {version.version}
            </a>{" "}
            <span class="quiet">registered</span>
            {(version.aliases ?? []).map((alias) => (
              <span key={alias} class="chip">
                @{visibleLine(alias)}
              </span>
            ))}
          </li>
        ))}
        {logged.map(({ info, data }, index) => (
          <li key={info.model_id}>
            <a href={filesUrl(run, info.model_id)}>{visibleLine(info.name)}</a>{" "}
            <span class="quiet">
              logged{info.model_type ? `, ${visibleLine(info.model_type)}` : ""}
              {(data.metrics ?? []).slice(0, 3).map((metric) => {
                const value = toNumber(metric.value as ApiNumber);
                return value === undefined ? "" : `, ${visibleLine(metric.key)} ${shortNumber(value)}`;
              })}
            </span>{" "}
            <span class="mono quiet">{info.model_id}</span>{" "}
            {!run.isDeleted && (
              <Register run={run.id} model={info.model_id} name={info.name} hasKey={index === 0} />
            )}
          </li>
        ))}
        {inputs.map((input) => (
          <li key={input.model_id}>
            <a href={filesUrl(run, input.model_id)} class="mono">
              {input.model_id}
            </a>{" "}
            <span class="quiet">was an input</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

export const filesUrl = (run: RunFacts, model: string) =>
  pageUrl(["experiments", run.experiment, "runs", run.id, "artifacts"], { model, file: "MLmodel" });
