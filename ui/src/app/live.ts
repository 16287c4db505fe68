/**
 * What changes on the server, told as it happens: one stream of Server-Sent Events for the whole page.
 *
 * Read by `fetch` and not by EventSource, which cannot send a token. Nothing is asked while nothing changes: the server
 * keeps the answer open. A hidden tab closes it; when it is seen again it goes on from the cursor it had.
 */

import { effect, signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { askAgain } from "../api/again";
import { ApiError, fetchChecked, mayTellCursor, onCursor, own } from "../api/request";

export interface Changes {
  readonly runs: ReadonlySet<string>;
  readonly experiments: ReadonlySet<string>;
  /** Experiments that changed themselves: name, stage or tags. */
  readonly about: ReadonlySet<string>;
  readonly models: ReadonlySet<string>;
  /** Runs that printed something; told of those watched closely. */
  readonly consoles: ReadonlySet<string>;
  /** Runs below which runs are new or changed; told of those watched closely. */
  readonly children: ReadonlySet<string>;
  /** When runs gave their last signs of life; told of those watched closely. */
  readonly beats: ReadonlyMap<string, number>;
  /** More changed than the server remembers: read everything again. */
  readonly isReset: boolean;
}

export interface Interest {
  readonly experiments?: readonly string[];
  readonly runs?: readonly string[];
  /** Runs of which also signs of life are told, that they print, and that runs below them changed. */
  readonly closely?: readonly string[];
  /** Registered models, all of them. */
  readonly models?: boolean;
  /** All runs, experiments and models; nothing closely. */
  readonly everything?: boolean;
}

interface Listener {
  readonly interest: Interest;
  readonly call: (changes: Changes) => void;
}

/** Whether changes are being told now; "off" where nobody listens or the server cannot. */
export const liveState = signal<"off" | "waiting" | "live">("off");
effect(() => {
  document.documentElement.dataset.live = liveState.value;
});

/** Whether the way to the server is cut, so that what is shown may be out of date. */
export const isCut = signal(false);
/** Once may be a server that starts anew. */
const CUT_AFTER = 2;

const PAUSES_MS = [500, 1000, 2000, 5000, 10_000, 30_000];
/** Components come and go together; one new stream serves all that came at once. */
const SETTLE_MS = 60;
/** The server sends a line every 15 s; silence for this long means that the way to it is cut. */
const SILENCE_MS = 45_000;
/** How long the first stream waits for an answer that says which state of the server the page shows. */
const FIRST_ANSWER_MS = 1500;
/** More ids than this are not named in the address of the stream; it then tells of everything. */
const MOST_NAMED = 100;

const listeners = new Set<Listener>();
let current: AbortController | undefined;
let asked = "";
let cursor = "";
/** The oldest state that answers were of before the first stream told its own. */
let shown: number | undefined;
let firstAsked: number | undefined;
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

// What changes between an answer and the first stream must be told, too: the stream begins where the answer was.
onCursor.call = (found) => {
  if (cursor !== "") return;
  if (found !== undefined) shown = Math.min(shown ?? found, found);
  if (firstAsked !== undefined && !current && !mayTellCursor()) settle();
};

interface Wanted {
  experiments: string[];
  runs: string[];
  closely: string[];
  models: boolean;
}

function wanted(): Wanted {
  const experiments = new Set<string>();
  const runs = new Set<string>();
  const closely = new Set<string>();
  let models = false;
  let isEverything = false;
  for (const { interest } of listeners) {
    for (const id of interest.experiments ?? []) experiments.add(id);
    for (const id of interest.runs ?? []) runs.add(id);
    for (const id of interest.closely ?? []) closely.add(id);
    if (interest.models) models = true;
    if (interest.everything) isEverything = true;
  }
  if (isEverything || experiments.size + runs.size + closely.size > MOST_NAMED)
    return { experiments: [], runs: [], closely: [], models: false };
  for (const id of closely) runs.delete(id);
  return {
    experiments: [...experiments].sort(),
    runs: [...runs].sort(),
    closely: [...closely].sort(),
    models,
  };
}

function connect(): void {
  clearTimeout(settling);
  if (listeners.size === 0 || document.hidden) {
    stop();
    liveState.value = "off";
    isCut.value = false;
    return;
  }
  if (cursor === "" && !current && mayTellCursor()) {
    firstAsked ??= Date.now();
    const left = firstAsked + FIRST_ANSWER_MS - Date.now();
    if (left > 0) {
      settling = setTimeout(connect, left);
      return;
    }
  }
  const { experiments, runs, closely, models } = wanted();
  const key = JSON.stringify([experiments, runs, closely, models]);
  if (current && key === asked) return;
  stop();
  asked = key;
  current = new AbortController();
  const query = {
    experiment_ids: experiments,
    run_ids: runs,
    closely,
    models: models || undefined,
    cursor: cursor || shown,
  };
  void read(own.path("events", query), current);
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
    // a page to sign in, say, of what is before the server
    if (!answer.body || !answer.headers.get("content-type")?.startsWith("text/event-stream"))
      throw new ApiError("There came no stream of changes.", 0, "NO_STREAM");
    liveState.value = "live";
    isCut.value = false;
    if (failures > 0) askAgain();
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
  isCut.value = !isRefused && failures + 1 >= CUT_AFTER;
  if (isRefused) return;
  liveState.value = "waiting";
  const pause = PAUSES_MS[Math.min(failures++, PAUSES_MS.length - 1)] as number;
  settling = setTimeout(connect, pause * (0.75 + Math.random() / 2));
}

interface Told {
  cursor?: string | number;
  runs?: string[];
  experiments?: string[];
  about?: string[];
  models?: string[];
  consoles?: string[];
  children?: string[];
  beats?: Record<string, number>;
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
    about: new Set(told.about),
    models: new Set(told.models),
    consoles: new Set(told.consoles),
    children: new Set(told.children),
    beats: new Map(Object.entries(told.beats ?? {})),
    isReset: event.name === "reset" || told.reset === true,
  };
  for (const listener of [...listeners])
    if (concerns(listener.interest, changes))
      try {
        listener.call(changes);
      } catch (error) {
        reportError(error); // the others are told all the same, and the stream goes on
      }
}

export function concerns(interest: Interest, changes: Changes): boolean {
  if (changes.isReset) return true;
  if (interest.everything && (changes.runs.size || changes.experiments.size)) return true;
  if ((interest.models || interest.everything) && changes.models.size) return true;
  const { runs, experiments, consoles, beats, children } = changes;
  return (
    (interest.runs ?? []).some((id) => runs.has(id)) ||
    (interest.closely ?? []).some(
      (id) => runs.has(id) || consoles.has(id) || beats.has(id) || children.has(id),
    ) ||
    (interest.experiments ?? []).some((id) => experiments.has(id))
  );
}

/** Ask at once for all that was cut off, and not only when the pause is over. */
export function reconnect(): void {
  if (failures > 0 || isCut.peek()) {
    stop();
    connect();
  }
  askAgain();
}

document.addEventListener("visibilitychange", () => {
  connect();
  if (!document.hidden) askAgain();
});
addEventListener("online", reconnect);
addEventListener("offline", () => {
  // what is still open may say nothing for long
  if (listeners.size) isCut.value = true;
});
// what a browser keeps for Back must not hold a connection
addEventListener("pagehide", stop);
addEventListener("pageshow", (event) => event.persisted && connect());
