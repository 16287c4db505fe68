/** By what the runs of charts are grouped, one param or tag after the other, and how a group is drawn. */

import { BANDS, type BandKind, CENTRES, type Centre } from "./bands";
import { type ChartSettings, keepBand, keepCentre, keepGroup } from "./settings";

const MOST_LEVELS = 3;

export function GroupChoice({ settings, names }: { settings: ChartSettings; names: readonly string[] }) {
  const { groupBy } = settings;
  if (names.length === 0 && groupBy.length === 0) return null;
  const levels = groupBy.length < MOST_LEVELS ? [...groupBy, ""] : groupBy;
  return (
    <>
      {levels.map((chosen, level) => {
        const others = groupBy.filter((_, at) => at !== level);
        const free = names.filter((name) => !others.includes(name));
        const offered = chosen && !free.includes(chosen) ? [chosen, ...free] : free;
        if (offered.length === 0) return null;
        return (
          <label
            key={level}
            title="Runs with the same values are drawn as one band, all that the filter finds"
          >
            {level ? "and" : "group"}
            <select
              aria-label={level ? `group also by, ${level + 1}` : "group"}
              value={chosen}
              onChange={(event) => {
                const name = event.currentTarget.value;
                keepGroup(
                  [...groupBy.slice(0, level), name, ...groupBy.slice(level + 1)].filter((each) => each),
                );
              }}
            >
              <option value="">{level ? "–" : "each run"}</option>
              {offered.map((name) => (
                <option key={name} value={name}>
                  {name.replace(/^(params|tags)\./, "")}
                </option>
              ))}
            </select>
          </label>
        );
      })}
      {groupBy.length > 0 && (
        <>
          <label>
            line
            <select
              aria-label="Line of groups"
              value={settings.centre}
              onChange={(event) => keepCentre(event.currentTarget.value as Centre)}
            >
              {Object.entries(CENTRES).map(([value, text]) => (
                <option key={value} value={value}>
                  {text}
                </option>
              ))}
            </select>
          </label>
          <label>
            band
            <select
              aria-label="Band of groups"
              value={settings.band}
              onChange={(event) => keepBand(event.currentTarget.value as BandKind)}
            >
              {Object.entries(BANDS).map(([value, text]) => (
                <option key={value} value={value}>
                  {text}
                </option>
              ))}
            </select>
          </label>
        </>
      )}
    </>
  );
}
