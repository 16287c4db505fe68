/** What a run's params were before, and what it left behind when it was resumed from an earlier step. */

import { CopyBlock } from "../app/copy";
import { type ApiNumber, moment, shortNumber, stepText, toNumber } from "../lib/format";
import { visibleLine } from "../lib/visible";
import type { RunFacts } from "./run_data";

const SHOWN_METRICS = 5;

export function Earlier({ run }: { run: RunFacts }) {
  const { changedParams: params, branches } = run;
  return (
    <>
      {params.length > 0 && (
        <section aria-labelledby="earlier-title">
          <h2 id="earlier-title">Params that changed</h2>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys */}
          <div class="scrolls" tabIndex={0} role="region" aria-label="Params that changed">
            <table class="lined">
              <thead>
                <tr>
                  <th scope="col">Param</th>
                  <th scope="col">Value</th>
                  <th scope="col">Until</th>
                </tr>
              </thead>
              <tbody>
                {params.map((each, index) => (
                  <tr key={index}>
                    <td>{visibleLine(each.key)}</td>
                    <td class="mono">{visibleLine(each.value)}</td>
                    <td>{each.replaced_time ? moment(Number(each.replaced_time)) : "now"}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </section>
      )}
      {branches.length > 0 && (
        <section aria-labelledby="branches-title">
          <h2 id="branches-title">Left behind</h2>
          <p class="quiet">
            The run was resumed from an earlier step. What it had logged from that step on is kept:
          </p>
          <ul class="plain-list">
            {branches.map((branch) => (
              <li key={branch.number}>
                Branch {branch.number}: from step {stepText(Number(branch.from_step))},{" "}
                {moment(Number(branch.created_time))}
                {branch.undone_time && <span class="quiet"> (put back)</span>}
                <span class="quiet">
                  {(branch.latest_metrics ?? []).slice(0, SHOWN_METRICS).map((metric) => {
                    const value = toNumber(metric.value as ApiNumber);
                    return value === undefined ? "" : `, ${visibleLine(metric.key)} ${shortNumber(value)}`;
                  })}
                  {(branch.latest_metrics ?? []).length > SHOWN_METRICS && ", …"}
                </span>
              </li>
            ))}
          </ul>
          <details>
            <summary>Put one back</summary>
            <CopyBlock
              label="Put a branch back"
              text={`slipstream runs undo-branch --run-id ${run.id} --branch ${branches.at(-1)?.number}`}
            />
          </details>
        </section>
      )}
    </>
  );
}
