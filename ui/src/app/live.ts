/**
 * What changes on the server, told as it happens: one stream of Server-Sent Events for the whole page.
 *
 * Read by `fetch` and not by EventSource, which cannot send a token. Nothing is asked while nothing changes: the server
 * keeps the answer open. A hidden tab closes it; when it is seen again it goes on from the cursor it had.
 */

import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { ApiError, fetchChecked, own } from "../api/request";

export interface Changes {
  readonly runs: ReadonlySet<string>;
  readonly experiments: ReadonlySet<string>;
  readonly models: ReadonlySet<string>;
  /** More changed than the server remembers: read everything again. */
  readonly isReset: boolean;
}

export interface Interest {
  readonly experiments?: readonly string[];
  readonly runs?: readonly string[];
  /** Registered models, all of them. */
  readonly models?: boolean;
  /** All runs and experiments. */
  readonly everything?: boolean;
}

interface Listener {
  readonly interest: Interest;
  readonly call: (changes: Changes) => void;
}

/** Whether changes are being told now; "off" where nobody listens or the server cannot. */
export const liveState = signal<"off" | "waiting" | "live">("off");

const PAUSES_MS = [500, 1000, 2000, 5000, 10_000, 30_000];
/** Components come and go together; one new stream serves all that came at once. */
const SETTLE_MS = 60;
/** The server sends a line every 15 s; silence for this long means that the way to it is cut. */
const SILENCE_MS = 45_000;
/** More ids than this are not named in the address of the stream; it then tells of everything. */
const MOST_NAMED = 100;

const listeners = new Set<Listener>();
let current: AbortController | undefined;
let asked = "";
let cursor = "";
let failures = 0;
let settling: ReturnType<typeof setTimeout> | undefined;

/** Be told of changes to what is named; returns what ends it. */
export function watch(interest: Interest, call: (changes: Changes) => void): () => void {
  const listener = { interest, call };
  listeners.add(listener);
  settle();
  return () => {
    listeners.delete(listener);
    settle();
  };
}

/** `watch` for as long as a component is there. `call` may change with each drawing. */
export function useLive(interest: Interest, call: (changes: Changes) => void): void {
  const latest = useRef(call);
  latest.current = call;
  const key = JSON.stringify(interest);
  useEffect(() => watch(interest, (changes) => latest.current(changes)), [key]);
}

function settle(): void {
  clearTimeout(settling);
  settling = setTimeout(connect, SETTLE_MS);
}

interface Wanted {
  experiments: string[];
  runs: string[];
}

function wanted(): Wanted {
  const experiments = new Set<string>();
  const runs = new Set<string>();
  let isEverything = false;
  for (const { interest } of listeners) {
    for (const id of interest.experiments ?? []) experiments.add(id);
    for (const id of interest.runs ?? []) runs.add(id);
    if (interest.models || interest.everything) isEverything = true;
  }
  if (isEverything || experiments.size + runs.size > MOST_NAMED) return { experiments: [], runs: [] };
  return { experiments: [...experiments].sort(), runs: [...runs].sort() };
}

function connect(): void {
  clearTimeout(settling);
  if (listeners.size === 0 || document.hidden) {
    stop();
    liveState.value = "off";
    return;
  }
  const { experiments, runs } = wanted();
  const key = JSON.stringify([experiments, runs]);
  if (current && key === asked) return;
  stop();
  asked = key;
  current = new AbortController();
  void read(own.path("events", { experiment_ids: experiments, run_ids: runs, cursor }), current);
}

function stop(): void {
  current?.abort();
  current = undefined;
}

async function read(path: string, mine: AbortController): Promise<void> {
  liveState.value = "waiting";
  let silence: ReturnType<typeof setTimeout> | undefined;
  const heard = () => {
    clearTimeout(silence);
    silence = setTimeout(() => mine.abort("silence"), SILENCE_MS);
  };
  let isRefused = false;
  try {
    heard();
    const answer = await fetchChecked(path, {
      signal: mine.signal,
      headers: { accept: "text/event-stream" },
      cache: "no-store",
    });
    if (!answer.body) return;
    liveState.value = "live";
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      heard();
      failures = 0;
      const parts = (rest + value).split(/\r?\n\r?\n/);
      rest = parts.pop() ?? "";
      for (const part of parts) take(part);
    }
  } catch (error) {
    // a server without this route, or one that refuses: asking again would not help
    isRefused = error instanceof ApiError && !error.mayPass;
  } finally {
    clearTimeout(silence);
  }
  if (current !== mine) return; // another stream is in its place, or none is wanted
  current = undefined;
  liveState.value = "off";
  if (isRefused) return;
  liveState.value = "waiting";
  const pause = PAUSES_MS[Math.min(failures++, PAUSES_MS.length - 1)] as number;
  settling = setTimeout(connect, pause * (0.75 + Math.random() / 2));
}

interface Told {
  cursor?: string | number;
  runs?: string[];
  experiments?: string[];
  models?: string[];
  reset?: boolean;
}

/** One event of the stream: lines `event: …` and `data: …`; a line that starts with a colon only keeps the way open. */
export function parseEvent(text: string): { name: string; data: string } | undefined {
  let name = "message";
  const data: string[] = [];
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith("event:")) name = line.slice(6).trim();
    else if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
  }
  return data.length ? { name, data: data.join("\n") } : undefined;
}

function take(part: string): void {
  const event = parseEvent(part);
  if (!event) return;
  const told = JSON.parse(event.data) as Told;
  if (told.cursor !== undefined) cursor = String(told.cursor);
  const changes: Changes = {
    runs: new Set(told.runs),
    experiments: new Set(told.experiments),
    models: new Set(told.models),
    isReset: event.name === "reset" || told.reset === true,
  };
  if (!changes.isReset && !changes.runs.size && !changes.experiments.size && !changes.models.size) return;
  for (const listener of [...listeners]) if (concerns(listener.interest, changes)) listener.call(changes);
}

export function concerns(interest: Interest, changes: Changes): boolean {
  if (interest.everything && (changes.runs.size || changes.experiments.size)) return true;
  if (changes.isReset) return true;
  if (interest.models && changes.models.size) return true;
  return (
    (interest.runs ?? []).some((id) => changes.runs.has(id)) ||
    (interest.experiments ?? []).some((id) => changes.experiments.has(id))
  );
}

document.addEventListener("visibilitychange", connect);
// what a browser keeps for Back must not hold a connection
addEventListener("pagehide", stop);
addEventListener("pageshow", (event) => event.persisted && connect());
