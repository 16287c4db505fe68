/**
 * Why an alias or a stage was moved: kept as a tag of the version that got it, so that every client can read it.
 * The key tells what and when (`slipstream.alias.champion.1732640000000`), the value is JSON.
 */

const ALIAS = "slipstream.alias.";
const STAGE = "slipstream.stage.";

export interface Move {
  readonly kind: "alias" | "stage";
  /** The alias; the stage it went to. */
  readonly name: string;
  readonly time: number;
  /** The version that had the alias before; the stage before. */
  readonly from: string | undefined;
  readonly reason: string;
  readonly key: string;
}

export const isMove = (key: string) => key.startsWith(ALIAS) || key.startsWith(STAGE);

export function aliasMove(alias: string, from: string | undefined, reason: string, time = Date.now()) {
  return { key: `${ALIAS}${alias}.${time}`, value: JSON.stringify({ from, reason }) };
}

export function stageMove(from: string, to: string, reason: string, time = Date.now()) {
  return { key: `${STAGE}${time}`, value: JSON.stringify({ from, to, reason }) };
}

/** The moves that a version's tags tell of, newest first; what others wrote under such names is left out. */
export function movesOf(tags: ReadonlyMap<string, string>): Move[] {
  const moves: Move[] = [];
  for (const [key, value] of tags) {
    if (!isMove(key)) continue;
    const kind = key.startsWith(ALIAS) ? "alias" : "stage";
    const rest = key.slice((kind === "alias" ? ALIAS : STAGE).length);
    const dot = rest.lastIndexOf(".");
    const time = Number(rest.slice(dot + 1));
    if (!Number.isSafeInteger(time) || time <= 0) continue;
    let said: { from?: unknown; to?: unknown; reason?: unknown };
    try {
      said = JSON.parse(value) as typeof said;
    } catch {
      continue;
    }
    if (typeof said !== "object" || said === null) continue;
    const name = kind === "alias" ? rest.slice(0, Math.max(dot, 0)) : String(said.to ?? "");
    if (!name) continue;
    moves.push({
      kind,
      name,
      time,
      key,
      from: typeof said.from === "string" ? said.from : undefined,
      reason: typeof said.reason === "string" ? said.reason : "",
    });
  }
  return moves.sort((a, b) => b.time - a.time);
}
