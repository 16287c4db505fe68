/** What can be done with a cell of a runs table, and with its column. */

import type { MenuItem, MenuPart } from "../app/menu";
import { tell, tellFailure } from "../app/toasts";
import { AGGREGATES, type Aggregate, fieldNamed, nameOf, titleOf } from "./columns";
import { keepColumns, keepOrder, keepPinned, type RunsState } from "./state";

/** The operators by which a cell becomes a filter. */
export type CellOperator = "=" | "!=" | ">=" | "<=";

interface About {
  readonly name: string;
  /** The columns that are shown, in their order. */
  readonly names: readonly string[];
  readonly state: RunsState;
  /** Whether runs can be ordered by it. */
  readonly isSortable: boolean;
  /** The cell's value, where there is one that runs can be filtered by. */
  readonly value: string | undefined;
  readonly isNumber: boolean;
  readonly onFilter: (name: string, value: string, operator: CellOperator) => void;
  readonly onGroup: (by: readonly string[]) => void;
}

const LONGEST = 60;
const WORDS: Readonly<Record<Aggregate, string>> = {
  last: "last",
  min: "least",
  max: "largest",
  first: "first",
  count: "count",
  curve: "curve",
  step: "at a step",
};

export function cellMenu(about: About): MenuPart[] {
  const parts: MenuPart[] = [];
  if (about.value !== undefined) parts.push(valuePart(about, about.value));
  const order = orderItems(about);
  const place = placeItems(about);
  const field = fieldNamed(about.name);
  if (field?.entity === "metrics" && about.names.includes(about.name))
    parts.push({
      title: "Its value",
      isInline: true,
      items: AGGREGATES.map((each) => ({
        text: WORDS[each],
        isChecked: each === field.aggregate,
        run: () => keepColumns(replaced(about.names, about.name, nameOf({ ...field, aggregate: each }))),
      })),
    });
  if (order.length || place.length) parts.push({ items: [...order, ...place] });
  return parts;
}

function valuePart({ name, value: _, isNumber, onFilter }: About, value: string): MenuPart {
  const field = fieldNamed(name);
  const items: MenuItem[] = [];
  // what is compared is the last value of a metric
  if (field && field.aggregate === "last") {
    items.push({ text: "Only runs that have it", keys: "f", run: () => onFilter(name, value, "=") });
    items.push({ text: "Without runs that have it", keys: "F", run: () => onFilter(name, value, "!=") });
    if (isNumber && field.entity === "metrics") {
      items.push({ text: "At least this much", run: () => onFilter(name, value, ">=") });
      items.push({ text: "At most this much", run: () => onFilter(name, value, "<=") });
    }
  }
  items.push({
    text: "Copy",
    run: () => void navigator.clipboard.writeText(value).then(() => tell("Copied."), tellFailure),
  });
  const shown = value.length > LONGEST ? `${value.slice(0, LONGEST)}…` : value;
  return { title: `${field ? titleOf(field) : name}: ${shown}`, items };
}

function orderItems({ name, state, isSortable }: About): MenuItem[] {
  if (!isSortable) return [];
  const items: MenuItem[] = [
    { text: "Largest first", run: () => keepOrder(name, true) },
    { text: "Least first", run: () => keepOrder(name, false) },
  ];
  if (state.order?.name === name)
    items.push({ text: "Newest first", run: () => keepOrder(undefined, false) });
  return items;
}

function placeItems({ name, names, state, onGroup }: About): MenuItem[] {
  const at = names.indexOf(name);
  if (at < 0) return [];
  const isPinned = state.pinned.includes(name);
  const field = fieldNamed(name);
  const curve = field?.entity === "metrics" ? nameOf({ ...field, aggregate: "curve" }) : undefined;
  const items: MenuItem[] = [];
  if (curve && !names.includes(curve))
    items.push({
      text: "Curve beside it",
      run: () => keepColumns([...names.slice(0, at + 1), curve, ...names.slice(at + 1)]),
    });
  if ((field?.entity === "params" || field?.entity === "tags") && !state.by.includes(name))
    items.push({ text: "Group by it", run: () => onGroup([...state.by, name]) });
  items.push({
    text: isPinned ? "Let it scroll" : "Keep at the left",
    run: () => keepPinned(isPinned ? state.pinned.filter((each) => each !== name) : [...state.pinned, name]),
  });
  if (at > 0)
    items.push({ text: "Move left", keys: "Shift ←", run: () => keepColumns(moved(names, name, -1)) });
  if (at < names.length - 1)
    items.push({ text: "Move right", keys: "Shift →", run: () => keepColumns(moved(names, name, 1)) });
  items.push({
    text: "Hide",
    keys: "Backspace",
    run: () => keepColumns(names.filter((each) => each !== name)),
  });
  return items;
}

/** A name one place further left or right. */
export function moved(names: readonly string[], name: string, by: number): string[] {
  const at = names.indexOf(name);
  const next = [...names];
  next.splice(at, 1);
  next.splice(Math.max(0, at + by), 0, name);
  return next;
}

function replaced(names: readonly string[], name: string, other: string): string[] {
  return names.includes(other)
    ? names.filter((each) => each !== name)
    : names.map((each) => (each === name ? other : each));
}
