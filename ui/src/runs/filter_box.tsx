/** The filter of a runs table: completion of names and values, and faults marked while the rows stay as they are. */

import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { own } from "../api/request";
import {
  ATTRIBUTES,
  type Expected,
  expectedAt,
  hasBothQuotes,
  isNumeric,
  operatorsOf,
  parse,
  quotedValue,
  written,
} from "../lib/filter_language";
import { count } from "../lib/format";
import { fieldNamed } from "./columns";
import { useLiveCount } from "./live_count";

interface Offer {
  readonly text: string;
  readonly note: string;
}

const SHOWN = 12;
const TYPING_MS = 100;

interface Props {
  readonly experiments: readonly string[];
  readonly value: string;
  readonly isTrash: boolean;
  readonly onApply: (filter: string) => void;
  /** What the server said about the filter that was applied. */
  readonly refusal: string | undefined;
}

export function FilterBox({ experiments, value, isTrash, onApply, refusal }: Props) {
  const [text, setText] = useState(value);
  const [caret, setCaret] = useState(value.length);
  const [offers, setOffers] = useState<readonly Offer[]>([]);
  const [active, setActive] = useState(-1);
  const [isOpen, setOpen] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const id = useId();
  // with what is drawn: after it, letters that were typed meanwhile would be gone
  useLayoutEffect(() => setText(value), [value]);

  const { fault } = parse(text);
  const expected = expectedAt(text, caret);
  const isEarly = fault !== undefined && fault.from >= text.trimEnd().length;
  useEffect(() => {
    if (!isOpen) return;
    const abort = new AbortController();
    const timer = setTimeout(() => {
      offersFor(expected, experiments, abort.signal).then(
        (found) => {
          setOffers(found);
          setActive(-1);
        },
        () => abort.signal.aborted || setOffers([]), // completion is a help: without the server one types on
      );
    }, TYPING_MS);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [text, caret, isOpen]);

  const typed = text.trim();
  const would = useLiveCount(fault || typed === value.trim() ? undefined : typed, experiments, isTrash);

  const apply = () => {
    setOpen(false);
    if (!fault) onApply(text.trim());
  };
  const take = (offer: Offer) => {
    const next = `${text.slice(0, expected.from)}${offer.text} ${text.slice(expected.to).trimStart()}`;
    const at = expected.from + offer.text.length + 1;
    setText(next);
    setCaret(at);
    setActive(-1);
    requestAnimationFrame(() => input.current?.setSelectionRange(at, at));
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown" && offers.length) {
      setOpen(true);
      setActive((index) => (index + 1) % offers.length);
    } else if (event.key === "ArrowUp" && offers.length)
      setActive((index) => (index <= 0 ? offers.length : index) - 1);
    else if ((event.key === "Enter" || event.key === "Tab") && isOpen && offers[active]) take(offers[active]);
    else if (event.key === "Enter") apply();
    else if (event.key === "Escape") {
      if (isOpen) setOpen(false);
      else input.current?.blur();
    } else return;
    event.preventDefault();
  };
  const message = refusal && text === value ? refusal : fault && !isEarly ? fault.message : undefined;
  const noteCaret = () => setCaret(input.current?.selectionStart ?? text.length);
  return (
    <div class={`filter${message ? " wrong" : ""}`}>
      <input
        ref={input}
        id="filter"
        type="text"
        role="combobox"
        list={undefined}
        spellcheck={false}
        autocomplete="off"
        aria-autocomplete="list"
        aria-label="Filter"
        aria-expanded={isOpen && offers.length > 0}
        aria-controls={`${id}-offers`}
        aria-activedescendant={active >= 0 ? `${id}-${active}` : undefined}
        aria-invalid={message !== undefined}
        aria-describedby={`${id}-fault`}
        placeholder="Filter, such as metrics.loss < 0.5 AND params.optimizer = 'adamw'"
        value={text}
        onInput={(event) => {
          setText(event.currentTarget.value);
          setCaret(event.currentTarget.selectionStart ?? 0);
          setOpen(true);
        }}
        onKeyDown={onKeyDown}
        onKeyUp={noteCaret}
        onClick={() => {
          noteCaret();
          setOpen(true);
        }}
        onBlur={() => {
          setOpen(false);
          if (text.trim() !== value && !fault) onApply(text.trim());
        }}
      />
      <span class="would" role="status" title="What is typed finds so many runs; Enter applies it">
        {would &&
          `${count(would.runs)} ${would.runs === 1 ? "run" : "runs"}${would.filter === typed ? "" : "…"}`}
      </span>
      <div id={`${id}-fault`} class="fault" role="status">
        {message && (
          <>
            {fault && !isEarly && (
              <span class="marked" aria-hidden="true">
                {text.slice(Math.max(0, fault.from - 24), fault.from)}
                <mark>{text.slice(fault.from, fault.to) || " "}</mark>
              </span>
            )}
            {message}
          </>
        )}
      </div>
      {isOpen && offers.length > 0 && (
        <div id={`${id}-offers`} class="offers" role="listbox" aria-label="Completions">
          {offers.map((offer, index) => (
            // biome-ignore lint/a11y/useKeyWithClickEvents: keys go to the box, which names the active one
            <div
              key={offer.text}
              id={`${id}-${index}`}
              role="option"
              tabIndex={-1}
              aria-selected={index === active}
              onMouseDown={(event) => event.preventDefault()}
              onClick={() => take(offer)}
            >
              <span class="mono">{offer.text}</span>
              <small>{offer.note}</small>
            </div>
          ))}
        </div>
      )}
    </div>
  );
}

interface KnownColumns {
  columns: { key: string; runs: number }[];
}
interface KnownValues {
  values: { value: string; runs: number }[];
}

async function offersFor(
  expected: Expected,
  experiments: readonly string[],
  abort: AbortSignal,
): Promise<Offer[]> {
  const typed = expected.typed;
  if (expected.kind === "and") return starting(["AND"], typed, "");
  if (expected.kind === "operator" && expected.field) return starting(operatorsOf(expected.field), typed, "");
  if (expected.kind === "key") {
    const dot = typed.indexOf(".");
    const search = (dot < 0 ? typed : typed.slice(dot + 1)).replace(/[`"]/g, "");
    const found = await own.post<KnownColumns>(
      "runs/columns",
      { experiment_ids: experiments, search, limit: SHOWN },
      abort,
    );
    const keys = found.columns.flatMap((column) => {
      const field = fieldNamed(column.key);
      return field ? [{ text: written(field.entity, field.key), note: `${column.runs} runs` }] : [];
    });
    return [...keys, ...starting(ATTRIBUTES, typed, "attribute")]
      .filter((offer) => dot < 0 || offer.text.startsWith(typed.slice(0, dot)))
      .slice(0, SHOWN);
  }
  const field = expected.field;
  if (!field || isNumeric(field)) return [];
  if (field.entity === "attributes" && field.key === "status")
    return starting(["'FINISHED'", "'RUNNING'", "'FAILED'", "'KILLED'", "'SCHEDULED'"], typed, "");
  if (field.entity !== "params" && field.entity !== "tags") return [];
  const found = await own.post<KnownValues>(
    "runs/values",
    {
      experiment_ids: experiments,
      key: `${field.entity}.${field.key}`,
      prefix: typed.replace(/^['"]/, ""),
      limit: SHOWN,
    },
    abort,
  );
  return found.values
    .filter((each) => !hasBothQuotes(each.value))
    .map((each) => ({ text: quotedValue(each.value), note: `${each.runs} runs` }));
}

function starting(words: readonly string[], typed: string, note: string): Offer[] {
  const lower = typed.toLowerCase();
  return words.filter((word) => word.toLowerCase().startsWith(lower)).map((text) => ({ text, note }));
}
