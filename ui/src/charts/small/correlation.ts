/**
 * How much a param goes with a metric. Of numbers it is Spearman's rank correlation, from −1 to 1. Of names it is the share
 * of the ranks' variance that the names explain (eta), from 0 to 1. Neither says that one causes the other.
 */

import type { Field } from "./values";

export interface Importance {
  readonly field: Field;
  /** From −1 to 1. */
  readonly value: number;
  readonly kind: "rank" | "names";
  /** Runs that have both. */
  readonly runs: number;
}

/** Fewer runs say nothing. */
const LEAST_RUNS = 4;

export function importances(fields: readonly Field[], target: Field): Importance[] {
  const found: Importance[] = [];
  for (const field of fields) {
    if (field.name === target.name || !field.differs) continue;
    const both = field.numbers
      .map((value, at) => [value, target.numbers[at] as number] as const)
      .filter(([one, other]) => Number.isFinite(one) && Number.isFinite(other));
    if (both.length < LEAST_RUNS) continue;
    const ys = ranks(both.map(([, y]) => y));
    const xs = both.map(([x]) => x);
    const isNames = field.names.length > 2;
    const value = isNames ? eta(xs, ys) : pearson(ranks(xs), ys);
    if (Number.isFinite(value))
      found.push({ field, value, kind: isNames ? "names" : "rank", runs: both.length });
  }
  return found.sort((one, other) => Math.abs(other.value) - Math.abs(one.value));
}

/** From 1 on; equal values share the mean of their ranks. */
export function ranks(values: readonly number[]): number[] {
  const order = values
    .map((_, at) => at)
    .sort((one, other) => (values[one] as number) - (values[other] as number));
  const found = new Array<number>(values.length);
  for (let at = 0; at < order.length; ) {
    let end = at + 1;
    while (end < order.length && values[order[end] as number] === values[order[at] as number]) end++;
    for (let each = at; each < end; each++) found[order[each] as number] = (at + end + 1) / 2;
    at = end;
  }
  return found;
}

function pearson(xs: readonly number[], ys: readonly number[]): number {
  const meanX = mean(xs);
  const meanY = mean(ys);
  let xy = 0;
  let xx = 0;
  let yy = 0;
  for (let at = 0; at < xs.length; at++) {
    const x = (xs[at] as number) - meanX;
    const y = (ys[at] as number) - meanY;
    xy += x * y;
    xx += x * x;
    yy += y * y;
  }
  return xy / Math.sqrt(xx * yy);
}

function eta(groups: readonly number[], ys: readonly number[]): number {
  const byGroup = new Map<number, number[]>();
  groups.forEach((group, at) => {
    const members = byGroup.get(group);
    if (members) members.push(ys[at] as number);
    else byGroup.set(group, [ys[at] as number]);
  });
  // as many groups as runs explain everything and mean nothing
  if (byGroup.size < 2 || byGroup.size > ys.length / 2) return Number.NaN;
  const all = mean(ys);
  let between = 0;
  for (const members of byGroup.values()) between += members.length * (mean(members) - all) ** 2;
  const total = ys.reduce((sum, y) => sum + (y - all) ** 2, 0);
  return Math.sqrt(between / total);
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
