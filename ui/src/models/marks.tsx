/** Small signs of models: aliases, stages, numbers. */

import type { ComponentChildren } from "preact";
import { pageUrl } from "../app/router";
import { exactNumber, shortNumber, toNumber } from "../lib/format";

export function AliasMark({ alias, children }: { alias: string; children?: ComponentChildren }) {
  return (
    <span class="alias">
      @{alias}
      {children}
    </span>
  );
}

export function StageMark({ stage }: { stage: string }) {
  return stage === "None" || stage === "" ? null : <span class={`stage ${stage}`}>{stage}</span>;
}

export function MetricText({ value }: { value: number | string | null | undefined }) {
  const number = typeof value === "string" ? Number(value) : toNumber(value as number | null | undefined);
  if (number === undefined) return null;
  return <span title={exactNumber(number)}>{shortNumber(number)}</span>;
}

export const versionUrl = (name: string, version: string, params: Record<string, string> = {}) =>
  pageUrl(["models", name, "versions", version], params);
