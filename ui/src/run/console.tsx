/** What a run prints: as it goes, and afterwards the file that keeps it. */

import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, own } from "../api/request";
import type { FindConsoleResponse } from "../api/schema";
import { useLive } from "../app/live";
import { Failure, Skeleton } from "../app/states";
import { tellFailure } from "../app/toasts";
import { AnsiText } from "../artifacts/ansi_text";
import { download, filesOfRun, readPart } from "../artifacts/source";
import { asItEnded } from "../formats/ansi";
import { bytes } from "../lib/format";
import type { RunFacts } from "./run_data";

const FILE = "logs/console.log";
/** How soon one looks again: after each look that found nothing a little later, until something comes or the run logs. */
const LOOK_MS = 1000;
const LATER = 1.5;
const LATEST_MS = 3000;
const LATEST_OF_TAIL_MS = 15_000;
/** So much of the end is drawn. */
const MOST = 400_000;
const TAIL = 4_000;

interface Printed {
  readonly text: string;
  /** Where the next part begins, in bytes of all that was printed. */
  readonly next: number;
  /** How much is before the text, that is not shown. */
  readonly before: number;
}

interface Props {
  readonly run: RunFacts;
  /** Only the last lines, for another page than the console's. */
  readonly isTail?: boolean;
}

export function Console({ run, isTail = false }: Props) {
  const isRunning = run.status === "RUNNING";
  const [printed, setPrinted] = useState<Printed>();
  const [error, setError] = useState<ApiError>();
  const [isFollowing, setFollowing] = useState(true);
  const box = useRef<HTMLPreElement>(null);
  const latest = useRef<Printed | undefined>(undefined);
  const isLooking = useRef(false);

  const look = async () => {
    if (isLooking.current) return;
    isLooking.current = true;
    try {
      const found = await readOn(run.id, latest.current, isRunning, isTail, lastLinesOf(run));
      if (found !== latest.current || !latest.current) setPrinted(found);
      latest.current = found;
      setError(undefined);
    } catch (failure) {
      if (failure instanceof ApiError) setError(failure);
      else throw failure;
    } finally {
      isLooking.current = false;
    }
  };
  useEffect(() => void look(), [run.id, isRunning]);
  const soon = useRef(() => {});
  useLive({ runs: [run.id] }, () => soon.current());
  useEffect(() => {
    if (!isRunning) return;
    let pause = LOOK_MS;
    let timer: ReturnType<typeof setTimeout>;
    const again = async () => {
      const before = latest.current;
      if (document.visibilityState === "visible") await look();
      const most = isTail ? LATEST_OF_TAIL_MS : LATEST_MS;
      pause = latest.current === before ? Math.min(most, pause * LATER) : LOOK_MS;
      timer = setTimeout(again, pause);
    };
    timer = setTimeout(again, pause);
    soon.current = () => {
      if (pause === LOOK_MS) return;
      pause = LOOK_MS;
      clearTimeout(timer);
      timer = setTimeout(again, pause);
    };
    return () => {
      clearTimeout(timer);
      soon.current = () => {};
    };
  }, [isRunning, run.id]);
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

/** What was printed last by a program that did not come to sending the rest. */
function lastLinesOf(run: RunFacts): Printed | undefined {
  const text = run.tags.get("slipstream.end.last_lines");
  return text === undefined ? undefined : { text, next: 0, before: 0 };
}

async function readOn(
  id: string,
  before: Printed | undefined,
  isRunning: boolean,
  isTail: boolean,
  lastLines: Printed | undefined,
): Promise<Printed> {
  const kept = before ?? { text: "", next: 0, before: 0 };
  const { chunks = [] } = await own.get<FindConsoleResponse>("runs/console", {
    run_id: id,
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
  if (isRunning) return kept;
  return (await readFile(id, isTail)) ?? lastLines ?? kept;
}

/** Only the end, from the beginning of a line. */
function cut(printed: Printed, isTail: boolean): Printed {
  const most = isTail ? TAIL : MOST;
  if (printed.text.length <= most) return printed;
  const from = printed.text.indexOf("\n", printed.text.length - most) + 1;
  return { ...printed, text: printed.text.slice(from), before: printed.before + from };
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
