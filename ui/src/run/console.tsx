/** What a run prints: as it goes, and afterwards the file that keeps it. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { again } from "../api/again";
import { ApiError, own } from "../api/request";
import type { FindConsoleResponse } from "../api/schema";
import { useLive } from "../app/live";
import { Failure, Skeleton } from "../app/states";
import { tellFailure } from "../app/toasts";
import { AnsiText } from "../artifacts/ansi_text";
import { download, filesOfRun, readPart } from "../artifacts/source";
import { asItEnded } from "../formats/ansi";
import { bytes } from "../lib/format";
import { cut, MOST, type Printed, TAIL } from "./printed";
import type { RunFacts } from "./run_data";

const FILE = "logs/console.log";
/** A program that prints all the time is not read all the time. */
const CALM_MS = 400;

interface Props {
  readonly run: RunFacts;
  /** Only the last lines, for another page than the console's. */
  readonly isTail?: boolean;
}

export function Console({ run, isTail = false }: Props) {
  const isRunning = run.status === "RUNNING";
  const [printed, setPrinted] = useState<Printed | undefined>(() => (isTail ? endOf(run) : undefined));
  const [error, setError] = useState<ApiError>();
  const [isFollowing, setFollowing] = useState(true);
  const box = useRef<HTMLPreElement>(null);
  const latest = useRef(printed);
  /** It may end while a look at it is under way. */
  const now = useRef(run);
  now.current = run;
  const isLooking = useRef(false);
  const isMore = useRef(false);

  const take = (found: Printed) => {
    latest.current = found;
    setPrinted(found);
  };
  const retry = useMemo(() => again(() => void lookNow.current()), []);
  const look = async () => {
    if (isLooking.current) {
      isMore.current = true;
      return;
    }
    isLooking.current = true;
    try {
      const found = await readOn(now.current, latest.current, isTail);
      setError(undefined);
      retry.settled();
      if (found !== latest.current) take(found);
    } catch (failure) {
      if (failure instanceof ApiError) {
        setError(failure);
        retry.failed(failure);
      } else throw failure;
    } finally {
      isLooking.current = false;
    }
    if (isMore.current) {
      isMore.current = false;
      soon();
    }
  };
  const lookNow = useRef(look);
  lookNow.current = look;
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const soon = () => {
    timer.current ??= setTimeout(() => {
      timer.current = undefined;
      void look();
    }, CALM_MS);
  };
  useEffect(
    () => () => {
      clearTimeout(timer.current);
      retry.settled();
    },
    [],
  );
  useEffect(() => {
    // what came with the run is enough for the last lines, whether it goes on or has ended
    const end = isTail ? endOf(run) : undefined;
    if (end) take(end);
    else void look();
  }, [run.id, isRunning]);
  // of an ended run the last lines come with the run, when they were stored
  useEffect(() => {
    const end = isTail && !isRunning ? endOf(run) : undefined;
    if (end && end.text !== latest.current?.text) take(end);
  }, [run.console?.text, isRunning]);
  useLive({ closely: [run.id] }, (changes) => {
    if (changes.consoles.has(run.id) || changes.isReset) soon();
  });
  useEffect(() => {
    if (isFollowing && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [printed?.text, isFollowing]);

  if (error && !printed) return <Failure error={error} retry={() => void look()} />;
  if (!printed) return <Skeleton lines={3} />;
  if (printed.text === "")
    return (
      <p class="quiet">
        {isRunning
          ? "Nothing was printed yet."
          : "Nothing of what this run printed was kept. It is kept with runs at a server, in scripts (SLIPSTREAM_CONSOLE)."}
      </p>
    );
  return (
    <div class={`console${isTail ? " tail" : ""}`}>
      {!isTail && (
        <div class="console-tools">
          <span class="quiet">
            {isRunning ? "as it goes" : "as it ended"}
            {printed.before > 0 && `, without the first ${bytes(printed.before)}`}
          </span>
          <span class="stretch" />
          {isRunning && (
            <label class="line-label">
              <input
                type="checkbox"
                checked={isFollowing}
                onChange={(event) => setFollowing(event.currentTarget.checked)}
              />
              Follow the end
            </label>
          )}
          {!isRunning && (
            <button type="button" onClick={() => download(filesOfRun(run.id), FILE).catch(tellFailure)}>
              Download
            </button>
          )}
        </div>
      )}
      <pre
        ref={box}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys
        tabIndex={0}
        role="log"
        aria-label="Console"
        aria-live="off"
        onScroll={(event) => {
          const at = event.currentTarget;
          setFollowing(at.scrollHeight - at.scrollTop - at.clientHeight < 40);
        }}
      >
        <AnsiText text={asItEnded(printed.text)} />
      </pre>
    </div>
  );
}

/** The last lines as they came with the run; `undefined` where its files may know more. */
function endOf(run: RunFacts): Printed | undefined {
  const { console: end } = run;
  if (end) return { text: end.text, next: end.next, before: end.isAll ? 0 : 1 };
  if (run.status === "RUNNING" || !mayHavePrinted(run)) return { text: "", next: 0, before: 0 };
  return undefined;
}

/** Other clients keep nothing of what is printed: their runs are not searched for it. */
const mayHavePrinted = (run: RunFacts) => [...run.tags.keys()].some((key) => key.startsWith("slipstream."));

/** What was printed last by a program that did not come to sending the rest. */
function lastLinesOf(run: RunFacts): Printed | undefined {
  const text = run.tags.get("slipstream.end.last_lines");
  return text === undefined ? undefined : { text, next: 0, before: 0 };
}

async function readOn(run: RunFacts, before: Printed | undefined, isTail: boolean): Promise<Printed> {
  const kept = before ?? { text: "", next: 0, before: 0 };
  const { chunks = [] } = await own.get<FindConsoleResponse>("runs/console", {
    run_id: run.id,
    after: kept.next || undefined,
  });
  if (chunks.length) {
    let { text, next } = kept;
    for (const chunk of chunks) {
      if (chunk.first > next)
        text += `\n[... ${chunk.first - next} bytes are in ${FILE} when the run has ended ...]\n`;
      text += chunk.text;
      next = chunk.next;
    }
    return cut({ text, next, before: kept.before }, isTail);
  }
  if (run.status === "RUNNING") return kept;
  return (await readFile(run.id, isTail)) ?? lastLinesOf(run) ?? kept;
}

async function readFile(id: string, isTail: boolean): Promise<Printed | undefined> {
  const source = filesOfRun(id);
  const most = isTail ? TAIL : MOST;
  const files = await source.list(FILE.slice(0, FILE.indexOf("/")));
  const file = files.find((each) => each.path === FILE);
  if (!file?.size) return undefined;
  const content = await readPart(source, FILE, `-${most}`);
  const text = new TextDecoder().decode(content.bytes);
  const hidden = content.size - content.bytes.length;
  const from = hidden > 0 ? text.indexOf("\n") + 1 : 0;
  return { text: text.slice(from), next: content.size, before: hidden + from };
}
