/** How many of what was found is drawn, and a way back to all that was hidden. */

import { type ChartSettings, keepHidden, keepMost, MOST_RUNS } from "./settings";

interface Props {
  /** Of what, and which of them come first. */
  readonly what: "runs" | "groups";
  readonly order: "first" | "largest";
  /** Whether there is anything to choose. */
  readonly isOffered: boolean;
  readonly settings: ChartSettings;
}

export function HowMany({ what, order, isOffered, settings }: Props) {
  return (
    <>
      {isOffered && (
        <select
          aria-label={`How many ${what} are drawn`}
          value={String(settings.most)}
          onChange={(event) => keepMost(Number(event.currentTarget.value))}
        >
          {MOST_RUNS.map((most) => (
            <option key={most} value={String(most)}>
              {order} {most}
            </option>
          ))}
        </select>
      )}
      {settings.hidden.length > 0 && (
        <button type="button" class="plain" onClick={() => keepHidden([])}>
          Show all
        </button>
      )}
    </>
  );
}
