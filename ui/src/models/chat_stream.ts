/** Answers of a chat model as they come: the text of each piece, and how it ended. */

export interface ChatEnd {
  readonly reason: string | undefined;
  readonly promptTokens: number | undefined;
  readonly completionTokens: number | undefined;
  /** Whether the model said that it was done; a stream that is cut off just ends. */
  readonly isWhole: boolean;
}

interface ContentPart {
  readonly text?: string;
}

/** As models send it, of which some say null where others leave out. */
interface Piece {
  choices?:
    | ({
        delta?: { content?: string | readonly ContentPart[] | null } | null;
        message?: { content?: string | readonly ContentPart[] | null } | null;
        finish_reason?: string | null;
      } | null)[]
    | null;
  usage?: { prompt_tokens?: number | null; completion_tokens?: number | null } | null;
  error?: { message?: string } | string;
}

/** A line end and another one: what comes before is an event. A lone CR may be the first half of CRLF. */
const BETWEEN = /(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r)/;
/** Of a text in which a boundary may begin that ends in the next one. */
const OPEN_END = 3;
const SHOWN = 300;

/** Reads Server-Sent Events as they come, however they are cut. */
export class ChatReader {
  /** What is no whole event yet, in the pieces that it came in: of a long one they are joined once. */
  #rest: string[] = [];
  #tail = "";
  #isWhole = false;
  #hasEvents = false;
  #end: { reason?: string; promptTokens?: number; completionTokens?: number } = {};

  constructor(private readonly tell: (text: string) => void) {}

  /** @throws Error what the model or the server said went wrong. */
  push(chunk: string): void {
    const isEnd = BETWEEN.test(this.#tail + chunk);
    this.#rest.push(chunk);
    if (!isEnd) {
      this.#tail = (this.#tail + chunk).slice(-OPEN_END);
      return;
    }
    const events = this.#rest.join("").split(BETWEEN);
    const rest = events.pop() ?? "";
    this.#rest = rest ? [rest] : [];
    this.#tail = rest.slice(-OPEN_END);
    for (const event of events) this.#take(event);
  }

  /** To be called when no more comes. */
  finish(): ChatEnd {
    const rest = this.#rest.join("");
    this.#rest = [];
    this.#tail = "";
    if (!this.#hasEvents && rest.trimStart().startsWith("{")) this.#takeWhole(rest);
    else if (rest.trim()) this.#take(rest);
    const { reason, promptTokens, completionTokens } = this.#end;
    return { reason, promptTokens, completionTokens, isWhole: this.#isWhole };
  }

  /** A server that makes no streams answers all at once. */
  #takeWhole(text: string): void {
    const found = pieceFrom(text) as (Piece & { text?: unknown }) | null;
    if (!found?.choices && !found?.error)
      throw new Error(`The model sent no answer of a chat: ${String(found?.text ?? text).slice(0, SHOWN)}`);
    this.#isWhole = true;
    this.#read(found);
  }

  #take(event: string): void {
    let name = "";
    const lines: string[] = [];
    for (const line of event.split(/\r\n|\n|\r/))
      if (line.startsWith("data:")) lines.push(line.slice(5).replace(/^ /, ""));
      else if (line.startsWith("event:")) name = line.slice(6).trim();
    const data = lines.join("\n");
    if (lines.length) this.#hasEvents = true;
    if (data.trim() === "[DONE]") this.#isWhole = true;
    else if (name === "error") throw new Error(errorIn(data));
    else if (data !== "") this.#read(pieceFrom(data));
  }

  #read(piece: Piece | null): void {
    if (!piece) return;
    if (piece.error) throw new Error(errorText(piece.error));
    const [choice] = piece.choices ?? [];
    const text = choice?.delta?.content ?? choice?.message?.content;
    if (text) this.tell(textOf(text));
    if (choice?.finish_reason) {
      this.#end.reason = choice.finish_reason;
      this.#isWhole = true;
    }
    const { prompt_tokens, completion_tokens } = piece.usage ?? {};
    if (typeof prompt_tokens === "number") this.#end.promptTokens = prompt_tokens;
    if (typeof completion_tokens === "number") this.#end.completionTokens = completion_tokens;
  }
}

function pieceFrom(data: string): Piece | null {
  let found: unknown;
  try {
    found = JSON.parse(data);
  } catch {
    throw new Error(`The model sent what is no piece of an answer: ${data.slice(0, SHOWN)}`);
  }
  return typeof found === "object" ? (found as Piece | null) : null;
}

/** An event that is an error has it as JSON, or in words. */
function errorIn(data: string): string {
  try {
    const { error, message } = JSON.parse(data) as { error?: Piece["error"]; message?: unknown };
    if (error) return errorText(error);
    if (typeof message === "string") return message;
  } catch {
    // in words
  }
  return data.slice(0, SHOWN) || "The model failed.";
}

const errorText = (error: NonNullable<Piece["error"]>): string =>
  typeof error === "string" ? error : (error.message ?? "The model failed.");

/** Texts, or parts of which those of text are shown. */
function textOf(content: string | readonly ContentPart[]): string {
  if (typeof content === "string") return content;
  return Array.isArray(content) ? content.map((part) => part?.text ?? "").join("") : "";
}
