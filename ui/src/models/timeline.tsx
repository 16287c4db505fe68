/** What happened to a version, newest first: only what the server knows. */

import type { ComponentChildren } from "preact";
import { pageUrl } from "../app/router";
import { ago, moment } from "../lib/format";
import type { ModelCard, VersionRow } from "./messages";
import { tagsOf } from "./messages";
import { movesOf } from "./moves";

interface Happening {
  readonly time: number;
  readonly what: ComponentChildren;
  readonly reason?: string;
}

export function Timeline({ row, card }: { row: VersionRow; card: ModelCard | undefined }) {
  const { version, run } = row;
  const found: Happening[] = movesOf(tagsOf(version.tags)).map((move) => ({
    time: move.time,
    reason: move.reason,
    what:
      move.kind === "alias" ? (
        <>
          Got <strong>@{move.name}</strong>
          {move.from && ` from version ${move.from}`}
        </>
      ) : (
        <>
          Moved to <strong>{move.name}</strong>
          {move.from && move.from !== "None" && ` from ${move.from}`}
        </>
      ),
  }));
  found.push({
    time: version.creation_timestamp,
    what: `Registered as version ${version.version}`,
  });
  // the file says it in UTC, without saying so
  const logged = card?.created ? Date.parse(`${card.created.replace(" ", "T").slice(0, 23)}Z`) : Number.NaN;
  if (Number.isFinite(logged) && logged <= version.creation_timestamp)
    found.push({
      time: logged,
      what: run ? (
        <>
          Logged by run{" "}
          <a href={pageUrl(["experiments", run.experiment_id, "runs", run.run_id])}>
            {run.run_name || run.run_id.slice(0, 8)}
          </a>
        </>
      ) : (
        "Logged"
      ),
    });
  found.sort((a, b) => b.time - a.time);
  return (
    <ol class="timeline">
      {found.map((each, index) => (
        <li key={index}>
          <div>{each.what}</div>
          {each.reason && <blockquote>“{each.reason}”</blockquote>}
          <time dateTime={new Date(each.time).toISOString()} title={moment(each.time)}>
            {ago(each.time)}
          </time>
        </li>
      ))}
    </ol>
  );
}
