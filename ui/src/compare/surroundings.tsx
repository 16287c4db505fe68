/** Where the runs differ beside their values: code, packages, data, files. Read when it is opened. */

import { useMemo, useState } from "preact/hooks";
import { useResource } from "../api/resource";
import { Failure, Skeleton } from "../app/states";
import { count, many } from "../lib/format";
import type { ComparedRun } from "./compared";
import { MOST_BYTES, namesIn, textFiles, textOf } from "./files";
import { lineDiff } from "./line_diff";
import { differingPackages, packagesOf } from "./packages";
import { eachOf } from "./some_at_a_time";

interface Props {
  readonly runs: readonly ComparedRun[];
  readonly base: ComparedRun;
}

const LOCK = "context/requirements.lock";
const PATCH = "context/diff.patch";

export function CodeDifferences({ runs, base }: Props) {
  const context = useResource(runs.map((run) => run.id).join(), (abort) =>
    eachOf(runs, async (run) => {
      const names = await namesIn(run.id, "context", abort);
      const [patch, lock] = await Promise.all(
        [PATCH, LOCK].map((path) => (names.has(path) ? textOf(run.id, path, abort) : undefined)),
      );
      return { patch, lock: lock === undefined ? undefined : packagesOf(lock) };
    }),
  );
  const found = context.value.value;
  const packages = useMemo(() => found && differingPackages(found.map((each) => each.lock)), [found]);
  const [other, setOther] = useState("");
  if (context.error.value) return <Failure error={context.error.value} retry={context.reload} />;
  if (!found || !packages) return <Skeleton />;
  const commits = group(runs, (run) => run.tags.get("mlflow.source.git.commit") ?? "");
  const withLock = found.filter((each) => each.lock).length;
  const patches = runs.filter((_, at) => found[at]?.patch !== undefined);
  const chosen = patches.find((run) => run.id === other) ?? patches.find((run) => run !== base) ?? patches[0];
  const patchOf = (run: ComparedRun | undefined) => (run ? (found[runs.indexOf(run)]?.patch ?? "") : "");
  return (
    <div class="surroundings">
      <section aria-label="Commits">
        <h3>Git commit</h3>
        <ul class="plain-list">
          {commits.map(([commit, members]) => (
            <li key={commit}>
              <code>{commit ? commit.slice(0, 12) : "none captured"}</code>{" "}
              <span class="quiet">{namesOf(members)}</span>
            </li>
          ))}
        </ul>
      </section>
      <section aria-label="Uncommitted changes">
        <h3>Uncommitted changes</h3>
        {patches.length === 0 ? (
          <p class="quiet">None was captured.</p>
        ) : (
          <>
            <p>
              <label>
                Changes of{" "}
                <select value={chosen?.id} onChange={(event) => setOther(event.currentTarget.value)}>
                  {patches.map((run) => (
                    <option key={run.id} value={run.id}>
                      {run.name}
                    </option>
                  ))}
                </select>
              </label>{" "}
              {chosen !== base && patchOf(base) ? `beside those of ${base.name}` : ""}
            </p>
            <Sides
              one={chosen === base ? "" : patchOf(base)}
              other={patchOf(chosen)}
              label="Uncommitted changes"
            />
          </>
        )}
      </section>
      <section aria-label="Packages">
        <h3>Packages</h3>
        {withLock < 2 ? (
          <p class="quiet">It takes two runs whose packages were captured.</p>
        ) : packages.length === 0 ? (
          <p>The packages of {count(withLock)} runs are the same.</p>
        ) : (
          // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys
          <div class="scrolls" tabIndex={0} role="region" aria-label="Packages that differ">
            <table class="values">
              <thead>
                <tr>
                  <th scope="col">{many(packages.length, "package differs", "packages differ")}</th>
                  {runs.map((run) => (
                    <th key={run.id} scope="col">
                      {run.name}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {packages.slice(0, 500).map((row) => (
                  <tr key={row.name}>
                    <th scope="row">{row.name}</th>
                    {row.versions.map((version, at) => (
                      <td
                        key={(runs[at] as ComparedRun).id}
                        class={version !== row.versions[runs.indexOf(base)] ? "other" : ""}
                      >
                        {version ?? "no lock"}
                      </td>
                    ))}
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </section>
    </div>
  );
}

function group(runs: readonly ComparedRun[], key: (run: ComparedRun) => string): [string, ComparedRun[]][] {
  const found = new Map<string, ComparedRun[]>();
  for (const run of runs) {
    const name = key(run);
    const members = found.get(name);
    if (members) members.push(run);
    else found.set(name, [run]);
  }
  return [...found].sort(([, one], [, other]) => other.length - one.length);
}

const namesOf = (runs: readonly ComparedRun[]) =>
  runs.length > 6
    ? `${runs
        .slice(0, 5)
        .map((run) => run.name)
        .join(", ")} and ${runs.length - 5} more`
    : runs.map((run) => run.name).join(", ");

export function DatasetDifferences({ runs }: { runs: readonly ComparedRun[] }) {
  const sets = group(runs, (run) =>
    run.datasets
      .map((each) => `${each.context || "data"}: ${each.name} (${each.digest})`)
      .sort()
      .join("\n"),
  );
  if (sets.length === 1 && sets[0]?.[0] === "") return <p class="quiet">No run has logged a dataset.</p>;
  return (
    <>
      <p>
        {sets.length === 1
          ? "All runs used the same data."
          : `${count(sets.length)} different sets of data were used.`}
      </p>
      <ul class="plain-list">
        {sets.map(([name, members]) => (
          <li key={name}>
            <span class="dataset-names">{name || "none"}</span> <span class="quiet">{namesOf(members)}</span>
          </li>
        ))}
      </ul>
    </>
  );
}

/** A file of the base run beside the same file of another. */
export function FileDifferences({ runs, base }: Props) {
  const [otherId, setOther] = useState("");
  const [path, setPath] = useState("");
  const other = runs.find((run) => run.id === otherId) ?? runs.find((run) => run !== base) ?? base;
  const files = useResource(`${base.id} ${other.id}`, async (abort) => {
    const [one, two] = await Promise.all([textFiles(base.id, abort), textFiles(other.id, abort)]);
    return { names: [...new Set([...one, ...two])].sort() };
  });
  const names = files.value.value?.names;
  const chosen = names?.includes(path)
    ? path
    : (names?.find((name) => !name.startsWith("context/")) ?? names?.[0]);
  const texts = useResource(`${base.id} ${other.id} ${chosen}`, async (abort) =>
    chosen ? await Promise.all([textOf(base.id, chosen, abort), textOf(other.id, chosen, abort)]) : undefined,
  );
  if (files.error.value) return <Failure error={files.error.value} retry={files.reload} />;
  if (!names) return <Skeleton />;
  const found = texts.value.value;
  return (
    <>
      <div class="tools inner">
        <label>
          {base.name} beside{" "}
          <select value={other.id} onChange={(event) => setOther(event.currentTarget.value)}>
            {runs
              .filter((run) => run !== base)
              .map((run) => (
                <option key={run.id} value={run.id}>
                  {run.name}
                </option>
              ))}
          </select>
        </label>
        {names.length > 0 && (
          <label>
            file{" "}
            <select value={chosen} onChange={(event) => setPath(event.currentTarget.value)}>
              {names.map((name) => (
                <option key={name} value={name}>
                  {name}
                </option>
              ))}
            </select>
          </label>
        )}
      </div>
      {names.length === 0 ? (
        <p class="quiet">Neither run has a text file below {count(MOST_BYTES / 1000)} kB.</p>
      ) : texts.error.value ? (
        <Failure error={texts.error.value} retry={texts.reload} />
      ) : (
        found && <Sides one={found[0] ?? ""} other={found[1] ?? ""} label={chosen ?? ""} />
      )}
    </>
  );
}

const AROUND = 3;
const MOST_LINES = 2000;

/** Two texts: lines that only the first has, only the second has, and some of those around them. */
function Sides({ one, other, label }: { one: string; other: string; label: string }) {
  const lines = useMemo(() => lineDiff(one, other), [one, other]);
  const shown = useMemo(() => {
    const near = new Uint8Array(lines.length);
    lines.forEach((line, at) => {
      if (line.kind !== "same") near.fill(1, Math.max(0, at - AROUND), at + AROUND + 1);
    });
    return lines.flatMap((line, at) => (near[at] ? [{ ...line, at }] : []));
  }, [lines]);
  if (one === other) return <p>{one ? "Both are the same." : "There is nothing in it."}</p>;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys
    <div class="scrolls sides" tabIndex={0} role="region" aria-label={label}>
      <table>
        <tbody>
          {shown.slice(0, MOST_LINES).map((line, place) => {
            const isGap = place > 0 && (shown[place - 1]?.at ?? 0) + 1 !== line.at;
            return (
              <tr key={line.at} class={`${line.kind}${isGap ? " gap" : ""}`}>
                <td class="sign">
                  {line.kind === "added" ? "+" : line.kind === "removed" ? "−" : ""}
                  <span class="hidden-text">{line.kind}</span>
                </td>
                <td>
                  <code>{line.text || " "}</code>
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
      {shown.length > MOST_LINES && <p>{count(shown.length - MOST_LINES)} more lines differ.</p>}
    </div>
  );
}
