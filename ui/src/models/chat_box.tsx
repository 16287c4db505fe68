/** A talk with a chat model: its answers come as they are made, and can be stopped. */

import { useEffect, useRef, useState } from "preact/hooks";
import { count, duration } from "../lib/format";
import { askStream } from "../serving/trying";
import { ChatReader } from "./chat_stream";
import { type Field, FieldFault, type Texts, valueIn } from "./signature";

interface Said {
  readonly role: "user" | "assistant";
  readonly content: string;
  readonly failure?: string;
  readonly note?: string;
}

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

export function ChatBox({ server, model, params }: Props) {
  const [talk, setTalk] = useState<readonly Said[]>([]);
  const [draft, setDraft] = useState("");
  const [system, setSystem] = useState("");
  const [texts, setTexts] = useState<Texts>({});
  const current = useRef<AbortController | undefined>(undefined);
  const [isBusy, setBusy] = useState(false);
  const end = useRef<HTMLDivElement>(null);
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

  const send = async () => {
    const content = draft.trim();
    if (content === "" || isBusy) return;
    const before: readonly Said[] = [
      ...talk.filter((each) => each.content !== "" && each.failure === undefined),
      { role: "user", content },
    ];
    const began = performance.now();
    let answer = "";
    let firstAt: number | undefined;
    let wanted = 0;
    const show = (extra: Partial<Said> = {}) =>
      setTalk([...before, { role: "assistant", content: answer, ...extra }]);
    // pieces come faster than screens are drawn
    const showSoon = () => {
      if (wanted) return;
      wanted = requestAnimationFrame(() => {
        wanted = 0;
        show();
      });
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
        const text = texts[field.name] ?? "";
        if (text.trim()) given[field.name] = valueIn(field, text);
      }
      const messages = [
        ...(system.trim() ? [{ role: "system", content: system.trim() }] : []),
        ...before.map(({ role, content: text }) => ({ role, content: text })),
      ];
      setDraft("");
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
      const { reason, completionTokens } = reader.finish();
      cancelAnimationFrame(wanted);
      const parts = [`first words after ${duration((firstAt ?? performance.now()) - began)}`];
      if (completionTokens !== undefined) {
        const seconds = (performance.now() - (firstAt ?? began)) / 1000;
        parts.push(`${count(completionTokens)} tokens`);
        if (seconds > 0.2) parts.push(`${Math.round(completionTokens / seconds)} a second`);
      }
      if (reason && reason !== "stop") parts.push(`ended by ${reason}`);
      show({ note: parts.join(" · ") });
    } catch (error) {
      cancelAnimationFrame(wanted);
      if (abort.signal.aborted) show({ note: "stopped" });
      else {
        if (error instanceof FieldFault) setDraft(content);
        show({ failure: error instanceof Error ? error.message : String(error) });
      }
    }
    setBusy(false);
  };

  return (
    <div class="chat">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys */}
      <div ref={end} class="talk" role="log" aria-label="Talk" aria-busy={isBusy} tabIndex={0}>
        {talk.length === 0 && <p class="quiet">Ask it something. Nothing of this is kept.</p>}
        {talk.map((each, index) => (
          <div key={index} class={`said ${each.role}${each.failure ? " failed" : ""}`}>
            <span class="hidden-text">{each.role === "user" ? "You: " : "Model: "}</span>
            {each.content || (each.failure ? "" : isBusy ? "…" : "")}
            {each.failure && (
              <span class="worse" role="alert">
                {each.failure}
              </span>
            )}
            {each.note && <div class="quiet">{each.note}</div>}
          </div>
        ))}
      </div>
      <form
        class="send"
        onSubmit={(event) => {
          event.preventDefault();
          void send();
        }}
      >
        <textarea
          rows={2}
          aria-label="Message"
          placeholder="Message (Enter sends, Shift+Enter makes a line)"
          value={draft}
          onInput={(event) => setDraft(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
              event.preventDefault();
              void send();
            } else if (event.key === "Escape" && isBusy) current.current?.abort();
          }}
        />
        {isBusy ? (
          <button type="button" onClick={() => current.current?.abort()}>
            Stop
          </button>
        ) : (
          <button type="submit" disabled={draft.trim() === ""}>
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
                value={texts[field.name] ?? ""}
                onInput={(event) => setTexts({ ...texts, [field.name]: event.currentTarget.value })}
              />
            </label>
          ))}
        </div>
      </details>
      {talk.length > 0 && !isBusy && (
        <div class="buttons">
          <button type="button" onClick={() => setTalk([])}>
            Begin anew
          </button>
        </div>
      )}
    </div>
  );
}
