/** The legend of charts of groups: how many runs each has; opened, its runs. */

import { pageUrl } from "../app/router";
import { isDark } from "../app/theme";
import { count, many } from "../lib/format";
import { visibleLine } from "../lib/visible";
import { litRun } from "../runs/lit";
import { HowMany } from "./how_many";
import { markAt } from "./marks";
import { MOST_MEMBERS, type RunGroup, type RunGroups } from "./run_groups";
import { type ChartSettings, keepHidden, keepOpened, MOST_RUNS } from "./settings";
import { Swatch } from "./swatch";

interface Props {
  readonly experiment: string;
  readonly groups: RunGroups;
  readonly settings: ChartSettings;
}

const toggled = (ids: readonly string[], id: string) =>
  ids.includes(id) ? ids.filter((each) => each !== id) : [...ids, id];

export function GroupList({ experiment, groups, settings }: Props) {
  const left = groups.total - groups.groups.length;
  return (
    <aside class="run-list" aria-label="Groups that are drawn">
      <p>
        <strong>
          {many(groups.runs, "run", "runs")} in {many(groups.total, "group", "groups")}
        </strong>{" "}
        <HowMany what="groups" order="largest" isOffered={groups.total > MOST_RUNS[0]} settings={settings} />
      </p>
      <ul aria-label="Groups" onMouseLeave={() => (litRun.value = undefined)}>
        {groups.groups.map((group) => (
          <GroupItem key={group.id} experiment={experiment} group={group} settings={settings} />
        ))}
      </ul>
      {left > 0 && <p class="quiet">{count(left)} smaller groups are not drawn.</p>}
    </aside>
  );
}

function GroupItem(props: { experiment: string; group: RunGroup; settings: ChartSettings }) {
  const { group, settings, experiment } = props;
  const name = visibleLine(group.label);
  const drawn = `group ${group.id}`;
  const isOpen = settings.opened.includes(group.id);
  const isHidden = settings.hidden.includes(group.id);
  const mark = markAt(group.slot, isDark.value);
  return (
    <li class="group">
      <div class={`item${litRun.value === drawn ? " lit" : ""}${isHidden ? " away" : ""}`}>
        <button
          type="button"
          class="plain name"
          aria-expanded={isOpen}
          title={`${name}: ${isOpen ? "draw the group only" : "draw its runs too"}`}
          onMouseEnter={() => (litRun.value = drawn)}
          onFocus={() => (litRun.value = drawn)}
          onBlur={() => (litRun.value = undefined)}
          onClick={() => keepOpened(toggled(settings.opened, group.id))}
        >
          <Swatch mark={mark} />
          <span>{name}</span>{" "}
          <small class="quiet">
            {count(group.runs)}
            <span class="hidden-text"> {group.runs === 1 ? "run" : "runs"}</span>
          </small>
        </button>
        <HideButton name={name} id={group.id} settings={settings} />
      </div>
      {isOpen && (
        <ul aria-label={`Runs of ${name}`}>
          {group.members?.map((run) => (
            <li
              key={run.id}
              class={`item${litRun.value === run.id ? " lit" : ""}${settings.hidden.includes(run.id) ? " away" : ""}`}
              onMouseEnter={() => (litRun.value = run.id)}
            >
              <a
                href={pageUrl(["experiments", experiment, "runs", run.id])}
                title={run.name}
                onFocus={() => (litRun.value = run.id)}
                onBlur={() => (litRun.value = undefined)}
              >
                {visibleLine(run.name)}
              </a>
              <HideButton name={run.name} id={run.id} settings={settings} />
            </li>
          ))}
          {!group.members && <li class="quiet">…</li>}
          {group.members && group.runs > group.members.length && group.members.length === MOST_MEMBERS && (
            <li class="quiet">{count(group.runs - MOST_MEMBERS)} more in the band</li>
          )}
        </ul>
      )}
    </li>
  );
}

function HideButton({ name, id, settings }: { name: string; id: string; settings: ChartSettings }) {
  const isHidden = settings.hidden.includes(id);
  return (
    <button
      type="button"
      class="plain"
      aria-pressed={isHidden}
      aria-label={`Hide ${name}`}
      title={isHidden ? "Hidden" : "Hide"}
      onClick={() => keepHidden(toggled(settings.hidden, id))}
    >
      {isHidden ? "○" : "●"}
    </button>
  );
}
