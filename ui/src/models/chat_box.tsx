/** A talk with a chat model: its answers come as they are made, and can be stopped. */

import { Fragment } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { say } from "../app/say";
import { count, duration } from "../lib/format";
import { askStream, CUT } from "../serving/trying";
import { ChatReader } from "./chat_stream";
import { type Field, FieldFault, type Texts, textIn, valueIn } from "./signature";
import { messagesOf, type Turn } from "./talk";

interface Props {
  readonly server: string;
  readonly model: string | undefined;
  /** Params of the signature; those that every chat model knows are there anyway. */
  readonly params: readonly Field[];
}

const USUAL: readonly Field[] = [
  { name: "temperature", type: "double", entry: "number", isRequired: false, preset: "" },
  { name: "max_tokens", type: "long", entry: "whole", isRequired: false, preset: "" },
  { name: "top_p", type: "double", entry: "number", isRequired: false, preset: "" },
];
const MOST_PARAMS = 12;
const FRAME_MS = 16;
/** Letters that are drawn in a millisecond, and as many again are left for all else. */
const DRAWN_A_MS = 5000;
/** Letters of an answer that are read out by themselves; the rest is read where it stands. */
const MOST_SAID = 2000;

export function ChatBox({ server, model, params }: Props) {
  const [talk, setTalk] = useState<readonly Turn[]>([]);
  const [draft, setDraft] = useState("");
  const [system, setSystem] = useState("");
  const [texts, setTexts] = useState<Texts>({});
  const current = useRef<AbortController | undefined>(undefined);
  const [isBusy, setBusy] = useState(false);
  const end = useRef<HTMLDivElement>(null);
  const message = useRef<HTMLTextAreaElement>(null);
  useEffect(() => () => current.current?.abort(), []);
  useEffect(() => {
    if (end.current) end.current.scrollTop = end.current.scrollHeight;
  }, [talk]);
  const fields = [
    ...USUAL,
    ...params.filter(
      (each) =>
        each.entry !== "json" && !USUAL.some((usual) => usual.name === each.name) && each.name !== "stream",
    ),
  ].slice(0, MOST_PARAMS);

  // the model has presets of its own
  const typed = (field: Field) => textIn(texts, { ...field, preset: "" });

  const last = talk.at(-1);
  /** Ask; `before` are the turns that stand before the question. */
  const send = async (question: string, before: readonly Turn[]) => {
    if (question === "" || isBusy) return;
    const began = performance.now();
    let answer = "";
    let firstAt: number | undefined;
    let wanted: ReturnType<typeof setTimeout> | undefined;
    const show = (extra: Partial<Turn> = {}) => setTalk([...before, { question, answer, ...extra }]);
    // pieces come faster than screens are drawn, and a long answer takes long to draw
    const showSoon = () => {
      wanted ??= setTimeout(
        () => {
          wanted = undefined;
          show();
        },
        Math.max(FRAME_MS, answer.length / DRAWN_A_MS),
      );
    };
    const abort = new AbortController();
    current.current = abort;
    setBusy(true);
    show();
    const reader = new ChatReader((text) => {
      firstAt ??= performance.now();
      answer += text;
      showSoon();
    });
    try {
      const given: Record<string, unknown> = {};
      for (const field of fields) {
        const text = typed(field);
        if (text.trim()) given[field.name] = valueIn(field, text);
      }
      const messages = messagesOf(system, before, question);
      await askStream(
        {
          server,
          model,
          kind: "chat",
          request: { ...given, messages, stream: true, stream_options: { include_usage: true } },
        },
        abort.signal,
        (chunk) => reader.push(chunk),
      );
      const { reason, completionTokens, isWhole } = reader.finish();
      clearTimeout(wanted);
      if (!isWhole) throw new Error(CUT);
      const parts = [firstAt === undefined ? "no words" : `first words after ${duration(firstAt - began)}`];
      if (completionTokens !== undefined) {
        const seconds = (performance.now() - (firstAt ?? began)) / 1000;
        parts.push(`${count(completionTokens)} tokens`);
        if (seconds > 0.2) parts.push(`${Math.round(completionTokens / seconds)} a second`);
      }
      if (reason && reason !== "stop") parts.push(`ended by ${reason}`);
      show({ note: parts.join(" · ") });
      say(`The model: ${answer.slice(0, MOST_SAID)}`); // once, and not letter by letter
    } catch (error) {
      clearTimeout(wanted);
      if (abort.signal.aborted) {
        show({ note: "stopped" });
        say("Stopped.");
      } else {
        if (error instanceof FieldFault) setDraft(question);
        show({ failure: error instanceof Error ? error.message : String(error) });
      }
    }
    setBusy(false);
  };

  const sendDraft = () => {
    if (isBusy) return;
    void send(draft.trim(), talk);
    setDraft("");
  };
  const edit = () => {
    setDraft(last?.question ?? "");
    setTalk(talk.slice(0, -1));
    message.current?.focus();
  };

  return (
    <div class="chat">
      <div
        ref={end}
        class="talk"
        role="log"
        aria-live="off"
        aria-label="Talk"
        aria-busy={isBusy}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys
        tabIndex={0}
      >
        {talk.length === 0 && <p class="quiet">Ask it something. Nothing of this is kept.</p>}
        {talk.map((turn, index) => (
          <Fragment key={index}>
            <div class="said user">
              <span class="hidden-text">You: </span>
              {turn.question}
            </div>
            <div class={`said assistant${turn.failure ? " failed" : ""}`}>
              <span class="hidden-text">Model: </span>
              {turn.answer || (isBusy && turn === last ? "…" : "")}
              {turn.failure && (
                <div class="worse" role="alert">
                  {turn.failure}
                </div>
              )}
              {turn.note && <div class="quiet">{turn.note}</div>}
            </div>
          </Fragment>
        ))}
      </div>
      {last && !isBusy && (
        <div class="buttons">
          {(last.failure || last.note === "stopped") && (
            <button type="button" onClick={() => void send(last.question, talk.slice(0, -1))}>
              Ask again
            </button>
          )}
          <button type="button" onClick={edit}>
            Edit the last message
          </button>
          <button type="button" onClick={() => setTalk([])}>
            Begin anew
          </button>
        </div>
      )}
      <form
        class="send"
        onSubmit={(event) => {
          event.preventDefault();
          sendDraft();
        }}
      >
        <textarea
          ref={message}
          rows={2}
          aria-label="Message"
          placeholder="Message (Enter sends, Shift+Enter makes a line)"
          value={draft}
          onInput={(event) => setDraft(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
              event.preventDefault();
              sendDraft();
            } else if (event.key === "Escape" && isBusy) current.current?.abort();
          }}
        />
        {isBusy ? (
          <button
            key="stop" // another one than Send: the second click of a double click is not for it
            type="button"
            onClick={() => {
              current.current?.abort();
              message.current?.focus(); // this button goes
            }}
          >
            Stop
          </button>
        ) : (
          <button key="send" type="submit" disabled={draft.trim() === ""}>
            Send
          </button>
        )}
      </form>
      <details>
        <summary>System prompt and parameters</summary>
        <label class="field">
          System prompt
          <textarea rows={2} value={system} onInput={(event) => setSystem(event.currentTarget.value)} />
        </label>
        <div class="parameters">
          {fields.map((field) => (
            <label key={field.name} class="line-label">
              {field.name}
              <input
                autocomplete="off"
                placeholder={field.preset || "its own"}
                value={typed(field)}
                onInput={(event) => setTexts({ ...texts, [field.name]: event.currentTarget.value })}
              />
            </label>
          ))}
        </div>
      </details>
    </div>
  );
}
