/** Which page an address is, loaded when it is first gone to. */

import type { ComponentType } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { again } from "../api/again";
import { ApiError, serverUrl } from "../api/request";
import { Boundary } from "./boundary";
import { path } from "./router";
import { say } from "./say";
import { Empty, Failure, Skeleton } from "./states";

export interface PageProps {
  /** What the `:names` of the address stand for. */
  readonly at: Readonly<Record<string, string>>;
}

type Page = ComponentType<PageProps>;
type Load = () => Promise<{ default: Page }>;

/** One function for all addresses of a page, so that going between them keeps it. */
const run: Load = () => import("../pages/run");

const runs: Load = () => import("../pages/runs");
/** The first that fits counts. */
const PAGES: readonly (readonly [pattern: string, load: Load])[] = [
  ["", () => import("../pages/home")],
  ["experiments", () => import("../pages/experiments")],
  ["experiments/:experiment", runs],
  ["experiments/:experiment/runs", runs],
  ["experiments/:experiment/runs/:run", run],
  ["experiments/:experiment/runs/:run/:tab", run],
  ["runs/:run", run],
  ["models", () => import("../pages/models")],
  ["models/:model", () => import("../pages/model")],
  ["models/:model/versions/:version", () => import("../pages/model_version")],
  ["compare", () => import("../pages/compare")],
  ["serving", () => import("../pages/serving")],
  ["settings", () => import("../pages/settings")],
];

function match(pattern: string, here: string): Record<string, string> | undefined {
  const names = pattern.split("/");
  const parts = here.split("/");
  if (names.length !== parts.length) return undefined;
  const at: Record<string, string> = {};
  for (const [index, name] of names.entries()) {
    const part = unescaped(parts[index] ?? "");
    if (name.startsWith(":")) at[name.slice(1)] = part;
    else if (name !== part) return undefined;
  }
  return at;
}

/** A part of a path as `pageUrl` was given it; what somebody typed may be escaped wrongly. */
function unescaped(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

const NOT_LOADED = new ApiError(
  "This page could not be loaded. The server is away, or was updated: load it anew.",
  0,
  "",
);
const loaded = new Map<Load, Page>();

const RELOADED_KEY = "slipstream-reloaded";
/** A file that never comes must not have the page loaded for ever. */
const RELOADED_MS = 60_000;

/** Load everything anew as soon as the server answers: browsers do not fetch a file again that did not come. */
async function loadAnew(): Promise<void> {
  const last = Number(sessionStorage.getItem(RELOADED_KEY));
  if (Date.now() - last < RELOADED_MS) return;
  const answer = await fetch(serverUrl(""), { method: "HEAD", cache: "no-store" });
  if (!answer.ok) throw NOT_LOADED;
  sessionStorage.setItem(RELOADED_KEY, String(Date.now()));
  location.reload();
}

function NotLoaded() {
  useEffect(() => {
    const retry = again(() => void loadAnew().catch(() => retry.failed(NOT_LOADED)));
    retry.failed(NOT_LOADED);
    return retry.settled;
  }, []);
  return <Failure error={NOT_LOADED} retry={() => location.reload()} />;
}

function find(here: string): { load: Load; page: number; at: Record<string, string> } | undefined {
  for (const [pattern, load] of PAGES) {
    const at = match(pattern, here);
    if (at) return { load, page: PAGES.findIndex((each) => each[1] === load), at };
  }
  return undefined;
}

/** What a page is of. A tab of it is not another page, and a run is the same in whichever experiment its address says. */
function identityOf(at: Readonly<Record<string, string>>): string {
  const { tab: _, experiment, ...others } = at;
  return JSON.stringify([at.run ? "" : experiment, others]);
}

const ARRIVED_MS = 600;

/**
 * Begin at the page that one went to: from its top, with the keys in it, its name said. Browsers do so for pages that
 * they load; here what had the keys is gone with the page before, and nobody who does not see it is told of another.
 */
function useArrival(page: string): void {
  const before = useRef(page);
  useEffect(() => {
    if (before.current === page) return;
    before.current = page;
    const main = document.getElementById("main");
    if (!main) return;
    main.scrollTop = 0;
    if (!main.contains(document.activeElement) && !document.querySelector("dialog[open]"))
      main.focus({ preventScroll: true });
    const timer = setTimeout(() => say(document.title), ARRIVED_MS); // when it knows its name
    return () => clearTimeout(timer);
  }, [page]);
}

export function CurrentPage() {
  const found = find(path.value);
  useArrival(found ? `${found.page} ${identityOf(found.at)}` : "");
  const [, setReady] = useState<Load>();
  const [failed, setFailed] = useState<Load>();
  useEffect(() => {
    if (!found || loaded.has(found.load)) return;
    found.load().then(
      (module) => {
        loaded.set(found.load, module.default);
        setReady(() => found.load);
      },
      () => setFailed(() => found.load),
    );
  }, [found?.load]);
  if (!found)
    return (
      <Empty title="There is no such page">
        <p>
          <a href="./">Go to the home page</a>, or press <kbd>Ctrl K</kbd> to go somewhere by name.
        </p>
      </Empty>
    );
  if (failed === found.load && !loaded.has(found.load)) return <NotLoaded />;
  const Page = loaded.get(found.load);
  return Page ? (
    <Boundary key={identityOf(found.at)} what="This page">
      <Page at={found.at} />
    </Boundary>
  ) : (
    <Skeleton />
  );
}
