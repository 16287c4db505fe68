/** What the scoring servers tell that whoever runs this server has named. */

import { own } from "../api/request";

export interface ServedModel {
  readonly name: string;
  readonly version: string | null;
  readonly task: string | null;
  readonly ready: boolean | null;
  readonly requests: number;
  readonly refused: number;
  readonly failed: number;
  readonly p50_seconds: number | null;
  readonly p95_seconds: number | null;
  readonly waiting: number | null;
  readonly at_work: number | null;
  readonly workers: number | null;
  readonly restarts: number | null;
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
}

export interface ScoringServer {
  readonly name: string;
  readonly url: string;
  readonly healthy: boolean;
  readonly error: string | null;
  readonly answer_seconds: number | null;
  readonly has_metrics: boolean;
  readonly models: readonly ServedModel[];
}

export async function readScoringServers(abort?: AbortSignal): Promise<readonly ScoringServer[]> {
  return (await own.get<{ servers: ScoringServer[] }>("serving/servers", {}, abort)).servers;
}

export interface Place {
  readonly server: ScoringServer;
  readonly model: ServedModel;
}

/** Where a model is served under its own name. */
export function placesOf(servers: readonly ScoringServer[], name: string): Place[] {
  return servers.flatMap((server) =>
    server.models.filter((model) => model.name === name).map((model) => ({ server, model })),
  );
}
