/** A form made from a signature; what is sent can be seen and changed as JSON. */

import { useEffect, useRef, useState } from "preact/hooks";
import { CopyBlock } from "../app/copy";
import { parseExact, stringifyExact } from "../lib/exact_json";
import { duration } from "../lib/format";
import { shellQuote } from "../lib/shell_words";
import type { ScoringServer } from "../serving/status";
import { ask } from "../serving/trying";
import { type Field, FieldFault, type Form, requestOf, type Texts, textIn } from "./signature";

const MOST_ROWS = 20;

interface Props {
  readonly server: ScoringServer;
  /** The name that it is served under; the only model of the server if absent. */
  readonly model: string | undefined;
  readonly form: Form;
  readonly example: unknown;
}

interface Outcome {
  readonly answer?: unknown;
  readonly milliseconds?: number;
  readonly failure?: string;
  readonly field?: string | undefined;
}

export function TryForm({ server, model, form, example }: Props) {
  const [rows, setRows] = useState<readonly Texts[]>([{}]);
  const [params, setParams] = useState<Texts>({});
  const isFree = form.layout === "free";
  /** The request as text, while it is changed as such. */
  const [text, setText] = useState<string | undefined>(
    isFree ? stringifyExact(example ?? { inputs: [] }, 2) : undefined,
  );
  const [outcome, setOutcome] = useState<Outcome>();
  const [isBusy, setBusy] = useState(false);
  const current = useRef<AbortController | undefined>(undefined);
  useEffect(() => () => current.current?.abort(), []);

  const request = (): Record<string, unknown> => {
    if (text === undefined) return requestOf(form, rows, params);
    const parsed = parseExact(text);
    if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed))
      throw new Error("A request is an object: { … }.");
    return parsed as Record<string, unknown>;
  };
  const send = async () => {
    const abort = new AbortController();
    current.current = abort;
    setBusy(true);
    try {
      const question = { server: server.name, model, kind: "invocations" as const, request: request() };
      setOutcome(await ask(question, abort.signal));
    } catch (error) {
      if (!abort.signal.aborted)
        setOutcome({
          failure: error instanceof Error ? error.message : String(error),
          field: error instanceof FieldFault ? error.field : undefined,
        });
    }
    setBusy(false);
  };
  const asJson = () => {
    try {
      setText(stringifyExact(requestOf(form, rows, params), 2));
      setOutcome(undefined);
    } catch (error) {
      setOutcome({
        failure: error instanceof Error ? error.message : String(error),
        field: error instanceof FieldFault ? error.field : undefined,
      });
    }
  };
  const setRow = (index: number, name: string, value: string) =>
    setRows(rows.map((row, at) => (at === index ? { ...row, [name]: value } : row)));
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (!isBusy) void send();
      }}
      onKeyDown={(event) => {
        if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || isBusy) return;
        event.preventDefault();
        void send();
      }}
    >
      {text !== undefined ? (
        <label>
          Request as JSON
          <textarea
            rows={8}
            spellcheck={false}
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
          />
        </label>
      ) : (
        <>
          {rows.map((row, index) => (
            <fieldset key={index} class="fields">
              <legend>
                {form.layout === "columns" && rows.length > 1 ? `Row ${index + 1}` : "Inputs"}
                {rows.length > 1 && (
                  <button
                    type="button"
                    class="plain"
                    aria-label={`Remove row ${index + 1}`}
                    onClick={() => setRows(rows.filter((_, at) => at !== index))}
                  >
                    ×
                  </button>
                )}
              </legend>
              {form.inputs.map((field) => (
                <FieldEntry
                  key={field.name}
                  field={field}
                  value={textIn(row, field)}
                  isWrong={outcome?.field === field.name}
                  onChange={(value) => setRow(index, field.name, value)}
                />
              ))}
            </fieldset>
          ))}
          {form.params.length > 0 && (
            <fieldset class="fields">
              <legend>Params</legend>
              {form.params.map((field) => (
                <FieldEntry
                  key={field.name}
                  field={field}
                  value={textIn(params, field)}
                  isWrong={outcome?.field === field.name}
                  onChange={(value) => setParams({ ...params, [field.name]: value })}
                />
              ))}
            </fieldset>
          )}
        </>
      )}
      <div class="buttons">
        <button type="submit" disabled={isBusy}>
          {isBusy ? "Asking…" : "Send"}
        </button>
        {isBusy && (
          <button
            type="button"
            onClick={() => {
              current.current?.abort();
              setBusy(false);
            }}
          >
            Stop
          </button>
        )}
        {text === undefined && form.layout === "columns" && (
          <button
            type="button"
            disabled={rows.length >= MOST_ROWS}
            onClick={() => setRows([...rows, rows.at(-1) ?? {}])}
          >
            Add a row
          </button>
        )}
        {!isFree && (
          <button
            type="button"
            aria-pressed={text !== undefined}
            onClick={() => (text === undefined ? asJson() : setText(undefined))}
          >
            As JSON
          </button>
        )}
        <span class="quiet">
          <kbd>Ctrl</kbd>
          <kbd>Enter</kbd> sends
        </span>
      </div>
      <OutcomeView outcome={outcome} />
      <AsCurl server={server} model={model} request={request} />
    </form>
  );
}

function OutcomeView({ outcome }: { outcome: Outcome | undefined }) {
  return (
    <div class="answer" aria-live="polite">
      {outcome?.failure !== undefined && (
        <div class="failure" role="alert">
          <p>{outcome.failure}</p>
        </div>
      )}
      {outcome && outcome.failure === undefined && (
        <>
          <h3>
            Answer <span class="quiet">in {duration(outcome.milliseconds ?? 0)}</span>
          </h3>
          <AnswerView answer={outcome.answer} />
        </>
      )}
    </div>
  );
}

const SHOWN_ROWS = 100;

/** Predictions that are rows of named values as a table, all else as JSON. */
function AnswerView({ answer }: { answer: unknown }) {
  const found = (answer as { predictions?: unknown } | null)?.predictions;
  const rows = Array.isArray(found) && found.length > 0 && found.every(isPlainRecord) ? found : undefined;
  if (!rows)
    return (
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys
      <pre tabIndex={0} role="region" aria-label="Answer">
        {stringifyExact(found ?? answer, 2)?.slice(0, 200_000)}
      </pre>
    );
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))].slice(0, 50);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys
    <div class="model-scroll" tabIndex={0} role="region" aria-label="Answer as a table">
      <table class="model-table">
        <thead>
          <tr>
            {names.map((name) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, SHOWN_ROWS).map((row, index) => (
            <tr key={index}>
              {names.map((name) => (
                <td key={name} class="mono">
                  {typeof row[name] === "string" ? (row[name] as string) : stringifyExact(row[name])}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > SHOWN_ROWS && (
        <p class="quiet">
          The first {SHOWN_ROWS} of {rows.length} rows.
        </p>
      )}
    </div>
  );
}

const isPlainRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

interface CurlProps {
  readonly server: ScoringServer;
  readonly model: string | undefined;
  readonly request: () => Record<string, unknown>;
}

function AsCurl({ server, model, request }: CurlProps) {
  const [text, setText] = useState("");
  const path = model === undefined ? "/invocations" : `/models/${encodeURIComponent(model)}/invocations`;
  const make = () => {
    try {
      setText(
        `curl ${shellQuote(server.url + path)} -H 'Content-Type: application/json' \\\n  -d ${shellQuote(stringifyExact(request()))}`,
      );
    } catch (error) {
      setText(`# ${error instanceof Error ? error.message : error}`);
    }
  };
  return (
    <details onToggle={(event) => event.currentTarget.open && make()}>
      <summary>This request as curl</summary>
      {text && <CopyBlock label="This request as curl" text={text} />}
    </details>
  );
}

interface FieldProps {
  readonly field: Field;
  readonly value: string;
  readonly isWrong: boolean;
  readonly onChange: (value: string) => void;
}

function FieldEntry({ field, value, isWrong, onChange }: FieldProps) {
  const named = (
    <span>
      {field.name} <small class="quiet">{field.type}</small>
      {!field.isRequired && <small class="quiet"> optional</small>}
    </span>
  );
  if (field.entry === "truth")
    return (
      <label>
        {named}
        <select value={value} onChange={(event) => onChange(event.currentTarget.value)}>
          {!field.isRequired && <option value="">not given</option>}
          <option value="false">false</option>
          <option value="true">true</option>
        </select>
      </label>
    );
  if (field.entry === "json")
    return (
      <label class="whole-line">
        {named}
        <textarea
          rows={3}
          spellcheck={false}
          value={value}
          aria-invalid={isWrong}
          placeholder={`JSON, such as ${field.type.startsWith("Tensor") ? "[[0.0, 1.0]]" : "[1, 2]"}`}
          onInput={(event) => onChange(event.currentTarget.value)}
        />
      </label>
    );
  return (
    <label>
      {named}
      <input
        // not type=number: browsers change what is typed there, and hide what is wrong
        inputMode={field.entry === "text" ? "text" : field.entry === "whole" ? "numeric" : "decimal"}
        autocomplete="off"
        spellcheck={false}
        value={value}
        aria-invalid={isWrong}
        placeholder={
          field.type === "datetime" ? "2026-01-31T12:00:00" : field.type === "binary" ? "base64" : ""
        }
        onInput={(event) => onChange(event.currentTarget.value)}
      />
    </label>
  );
}
