/** Runs beside each other, as the pages have them. */

import type { CompareRunsResponse } from "../api/schema";

export interface NamedRun {
  readonly id: string;
  readonly name: string;
}

export interface ComparedRun extends NamedRun {
  readonly experiment: string;
  readonly status: string;
  readonly start: number | undefined;
  readonly end: number | undefined;
  readonly user: string;
  readonly params: ReadonlyMap<string, string>;
  readonly metrics: ReadonlyMap<string, string>;
  readonly tags: ReadonlyMap<string, string>;
  readonly datasets: readonly ComparedDataset[];
}

export interface ComparedDataset {
  readonly name: string;
  readonly digest: string;
  readonly context: string;
  readonly source: string;
}

export interface Compared {
  readonly runs: readonly ComparedRun[];
  /** Ids that no run has. */
  readonly missing: readonly string[];
  /** Ids of runs that may not be read by who looks. */
  readonly closed: readonly string[];
}

/** The columns of the answer as runs. */
export function comparedOf(answer: CompareRunsResponse): Compared {
  const ids = answer.run_ids ?? [];
  const rowsOf = (columns: Record<string, readonly (string | number | null)[]> | undefined) => {
    const rows = ids.map(() => new Map<string, string>());
    for (const [key, values] of Object.entries(columns ?? {}))
      values.forEach((value, at) => {
        if (value !== null) rows[at]?.set(key, String(value));
      });
    return rows;
  };
  const params = rowsOf(answer.params);
  const metrics = rowsOf(answer.metrics);
  const tags = rowsOf(answer.tags);
  const runs = ids.map(
    (id, at): ComparedRun => ({
      id,
      name: answer.names?.[at] || id.slice(0, 8),
      experiment: answer.experiment_ids?.[at] ?? "",
      status: answer.statuses?.[at] ?? "",
      start: answer.start_times?.[at],
      end: answer.end_times?.[at] || undefined,
      user: answer.user_ids?.[at] ?? "",
      params: params[at] as Map<string, string>,
      metrics: metrics[at] as Map<string, string>,
      tags: tags[at] as Map<string, string>,
      datasets: (answer.datasets?.[at] ?? []).map((data) => ({
        name: data.name,
        digest: data.digest,
        source: data.source_type,
        context: data.context ?? "",
      })),
    }),
  );
  return { runs, missing: answer.missing ?? [], closed: [] };
}
