// @vitest-environment node
import { beforeAll, expect, test, vi } from "vitest";
import type { Changes } from "../src/app/live";

type Live = typeof import("../src/app/live");
let live: Live;

beforeAll(async () => {
  vi.stubGlobal("document", {
    addEventListener: () => {},
    hidden: false,
    baseURI: "http://localhost/",
    documentElement: { dataset: {} },
  });
  vi.stubGlobal("addEventListener", () => {});
  live = await import("../src/app/live");
});

function changes(told: Partial<Record<keyof Changes, unknown>> = {}): Changes {
  return {
    runs: new Set(),
    experiments: new Set(),
    about: new Set(),
    models: new Set(),
    consoles: new Set(),
    beats: new Map(),
    children: new Set(),
    isReset: false,
    ...told,
  } as Changes;
}

test("who wants models hears of models, and of nothing else", () => {
  expect(live.concerns({ models: true }, changes({ models: new Set(["a"]) }))).toBe(true);
  expect(live.concerns({ models: true }, changes({ runs: new Set(["r"]) }))).toBe(false);
  expect(live.concerns({ runs: ["r"] }, changes({ models: new Set(["a"]) }))).toBe(false);
  expect(live.concerns({ everything: true }, changes({ models: new Set(["a"]) }))).toBe(true);
});

test("signs of life and prints are for who watches closely", () => {
  const beat = changes({ beats: new Map([["r", 1]]) });
  const print = changes({ consoles: new Set(["r"]) });
  for (const each of [beat, print]) {
    expect(live.concerns({ closely: ["r"] }, each)).toBe(true);
    expect(live.concerns({ closely: ["s"] }, each)).toBe(false);
    expect(live.concerns({ runs: ["r"] }, each)).toBe(false);
    expect(live.concerns({ everything: true }, each)).toBe(false);
  }
  expect(live.concerns({ closely: ["r"] }, changes({ runs: new Set(["r"]) }))).toBe(true);
});

test("a reset is for all", () => {
  for (const interest of [{ models: true }, { runs: ["r"] }, { closely: ["r"] }, { everything: true }, {}])
    expect(live.concerns(interest, changes({ isReset: true }))).toBe(true);
});

test("one that stumbles over a change keeps it from nobody, and the stream goes on", async () => {
  const reported = vi.fn();
  vi.stubGlobal("reportError", reported);
  vi.stubGlobal("location", { origin: "http://localhost" });
  vi.stubGlobal("localStorage", { getItem: () => null });
  let asked = 0;
  vi.stubGlobal("fetch", async () => {
    asked++;
    const event = `id: 1\ndata: {"cursor":${asked},"runs":["r"],"experiments":[],"models":[]}\n\n`;
    return new Response(
      new ReadableStream({ start: (stream) => stream.enqueue(new TextEncoder().encode(event)) }),
      { headers: { "content-type": "text/event-stream" } },
    );
  });
  const told = vi.fn();
  const stops = [
    live.watch({ runs: ["r"] }, () => {
      throw new Error("slip");
    }),
    live.watch({ runs: ["r"] }, told),
  ];
  await expect.poll(() => told.mock.calls.length).toBe(1);
  expect(reported).toHaveBeenCalledTimes(1);
  expect(live.liveState.value).toBe("live");
  expect(asked).toBe(1);
  for (const stop of stops) stop();
});
