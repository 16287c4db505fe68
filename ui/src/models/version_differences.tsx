/** Two versions of a model side by side: what is not the same, what matters most first. */

import { useId } from "preact/hooks";
import { Skeleton } from "../app/states";
import { isHigherBetter } from "../lib/better";
import { bytes, moment, shortNumber } from "../lib/format";
import { change, type Difference, differences, filesOf, requirementsOf, schemaChanges } from "./differences";
import { tagsOf } from "./messages";
import { isMove } from "./moves";
import type { WholeVersion } from "./requests";

interface Props {
  readonly before: WholeVersion | undefined;
  readonly after: WholeVersion | undefined;
  /** Show what is the same, too. */
  readonly isAll: boolean;
}

export function VersionDifferences({ before, after, isAll }: Props) {
  if (!before || !after) return <Skeleton />;
  const titles = [`v${before.row.version.version}`, `v${after.row.version.version}`] as const;
  const schemas = (["inputs", "outputs", "params"] as const).map((part) => ({
    part,
    changes: schemaChanges(before.card?.[part] ?? null, after.card?.[part] ?? null, part, isAll),
  }));
  const breaking = schemas.flatMap(({ part, changes }) =>
    changes.filter((each) => each.isBreaking).map((each) => `${part.slice(0, -1)} ${each.name}`),
  );
  const hasLostSignature = before.card?.inputs && after.card && !after.card.inputs;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys
    <div class="differences" tabIndex={0} role="region" aria-label={`${titles[0]} and ${titles[1]}`}>
      {breaking.length > 0 && (
        <p class="warning" role="note">
          <span class="breaks">Breaks callers:</span> {breaking.join(", ")}. Requests or readers of the
          answers that work with {titles[0]} may fail with {titles[1]}.
        </p>
      )}
      {hasLostSignature && (
        <p class="warning" role="note">
          {titles[1]} has no signature: nothing checks what is sent to it.
        </p>
      )}
      <MetricDifferences before={before} after={after} isAll={isAll} titles={titles} />
      <Part
        title="Params of the runs"
        titles={titles}
        found={differences(before.run?.params ?? new Map(), after.run?.params ?? new Map(), isAll)}
        missing={missing(before.run, after.run, "the run")}
      />
      {schemas.map(({ part, changes }) => (
        <Part
          key={part}
          title={{ inputs: "Inputs", outputs: "Outputs", params: "Params of the model" }[part]}
          titles={titles}
          found={changes}
          missing={missing(before.card, after.card, "the model's files")}
        />
      ))}
      <Part
        title="Requirements"
        titles={titles}
        found={differences(
          requirementsOf(before.card?.requirements ?? []),
          requirementsOf(after.card?.requirements ?? []),
          isAll,
        )}
        missing={missing(before.card, after.card, "the model's files")}
      />
      <Part
        title="Files"
        titles={titles}
        found={differences(
          before.card ? filesOf(before.card, bytes) : new Map(),
          after.card ? filesOf(after.card, bytes) : new Map(),
          isAll,
        )}
        missing={missing(before.card, after.card, "the model's files")}
      />
      <Part
        title="Who, when, where"
        titles={titles}
        found={differences(aboutOf(before), aboutOf(after), isAll)}
      />
    </div>
  );
}

function missing(before: unknown, after: unknown, what: string): string | undefined {
  if (before && after) return undefined;
  return `${what} of ${!before && !after ? "both" : before ? "the second" : "the first"} cannot be read here`;
}

function aboutOf({ row, card, run }: WholeVersion): Map<string, string> {
  const { version } = row;
  const about = new Map([["registered", moment(version.creation_timestamp)]]);
  const put = (name: string, value: string | null | undefined) => {
    if (value) about.set(name, value);
  };
  put("run", row.run ? row.run.run_name : version.run_id);
  put("by", run?.tags.get("mlflow.user") ?? row.run?.user_id);
  put("source", run?.tags.get("mlflow.source.name"));
  put("commit", run?.tags.get("mlflow.source.git.commit"));
  put("data", run?.datasets.map((each) => `${each.name} ${each.digest}`).join(", "));
  put("stage", version.current_stage === "None" ? undefined : version.current_stage);
  put("python", card?.python);
  put("flavors", card && Object.keys(card.flavors).sort().join(", "));
  put("description", version.description);
  for (const [key, value] of tagsOf(version.tags)) if (!isMove(key)) put(`tag ${key}`, value);
  return about;
}

interface PartProps {
  readonly title: string;
  readonly titles: readonly [string, string];
  readonly found: readonly (Difference & { isBreaking?: boolean })[];
  readonly missing?: string | undefined;
}

function Part({ title, titles, found, missing: why }: PartProps) {
  const id = useId();
  return (
    <section aria-labelledby={id}>
      <h3 id={id}>{title}</h3>
      {why ? (
        <p class="quiet">Not compared: {why}.</p>
      ) : found.length === 0 ? (
        <p class="quiet">No difference.</p>
      ) : (
        <div>
          <table class="model-table three">
            <thead>
              <tr>
                <th scope="col">
                  <span class="hidden-text">Name</span>
                </th>
                <th scope="col">{titles[0]}</th>
                <th scope="col">{titles[1]}</th>
              </tr>
            </thead>
            <tbody>
              {found.map((each) => (
                <tr key={each.name}>
                  <th scope="row">{each.name}</th>
                  <td>{each.before ?? <span class="quiet">none</span>}</td>
                  <td class={each.isBreaking ? "breaks" : undefined}>
                    {each.after ?? <span class={each.isBreaking ? undefined : "quiet"}>none</span>}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

function MetricDifferences({ before, after, isAll, titles }: Props & { titles: readonly [string, string] }) {
  const id = useId();
  const was = before?.run?.metrics ?? new Map<string, number>();
  const is = after?.run?.metrics ?? new Map<string, number>();
  const names = [...new Set([...was.keys(), ...is.keys()])]
    .filter((name) => isAll || (!name.startsWith("system/") && !Object.is(was.get(name), is.get(name))))
    .sort((a, b) => a.localeCompare(b));
  return (
    <section aria-labelledby={id}>
      <h3 id={id}>Metrics of the runs</h3>
      {!before?.run || !after?.run ? (
        <p class="quiet">Not compared: {missing(before?.run, after?.run, "the run")}.</p>
      ) : names.length === 0 ? (
        <p class="quiet">No difference.</p>
      ) : (
        <div>
          <table class="model-table three">
            <thead>
              <tr>
                <th scope="col">
                  <span class="hidden-text">Name</span>
                </th>
                <th scope="col" class="number">
                  {titles[0]}
                </th>
                <th scope="col" class="number">
                  {titles[1]}
                </th>
                <th scope="col" class="number">
                  Change
                </th>
              </tr>
            </thead>
            <tbody>
              {names.map((name) => (
                <tr key={name}>
                  <th scope="row">{name}</th>
                  <td class="number">{shown(was.get(name))}</td>
                  <td class="number">{shown(is.get(name))}</td>
                  <td class="number">
                    <Moved name={name} before={was.get(name)} after={is.get(name)} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

const shown = (value: number | undefined) => (value === undefined ? "none" : shortNumber(value));

/** A change with its sign, its share, and whether it is for the better where the metric's name tells. */
function Moved({
  name,
  before,
  after,
}: {
  name: string;
  before: number | undefined;
  after: number | undefined;
}) {
  const moved = change(before, after);
  if (!moved) return null;
  if (moved.by === 0) return <span class="quiet">same</span>;
  const isHigher = isHigherBetter(name);
  const isBetter = isHigher === undefined ? undefined : moved.by > 0 === isHigher;
  const share =
    moved.share === undefined
      ? ""
      : ` (${moved.by > 0 ? "+" : "−"}${shortNumber(Number((Math.abs(moved.share) * 100).toPrecision(3)))} %)`;
  return (
    <span class={isBetter === undefined ? undefined : isBetter ? "better" : "worse"}>
      {moved.by > 0 ? "▲ +" : "▼ −"}
      {shortNumber(Math.abs(moved.by))}
      {share}
      {isBetter !== undefined && <span> {isBetter ? "better" : "worse"}</span>}
    </span>
  );
}
