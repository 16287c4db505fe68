/** The files of a run, and those of the models that it logged. */

import { query, setQuery } from "../app/router";
import { ArtifactBrowser } from "../artifacts/browser";
import { filesOfModel, filesOfRun } from "../artifacts/source";
import { visibleLine } from "../lib/visible";
import type { RunFacts } from "./run_data";

export function ArtifactsTab({ run }: { run: RunFacts }) {
  const model = query.value.get("model") ?? "";
  const logged = run.models;
  const others = model && !logged.some((each) => each.info.model_id === model) ? [model] : [];
  const source = model ? filesOfModel(model) : filesOfRun(run.id);
  return (
    <>
      {(logged.length > 0 || model) && (
        <p>
          <label class="line-label">
            Files of{" "}
            <select
              value={model}
              onChange={(event) => setQuery({ model: event.currentTarget.value, file: null }, {})}
            >
              <option value="">the run</option>
              {logged.map(({ info }) => (
                <option key={info.model_id} value={info.model_id}>
                  model {visibleLine(info.name)}
                </option>
              ))}
              {others.map((id) => (
                <option key={id} value={id}>
                  model {visibleLine(id)}
                </option>
              ))}
            </select>
          </label>
        </p>
      )}
      <ArtifactBrowser key={source.key} source={source} />
    </>
  );
}
