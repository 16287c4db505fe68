/** Answers of a chat model as they come: the text of each piece, and how it ended. */

export interface ChatEnd {
  readonly reason: string | undefined;
  readonly promptTokens: number | undefined;
  readonly completionTokens: number | undefined;
  /** Whether the model said that it was done; a stream that is cut off just ends. */
  readonly isWhole: boolean;
}

interface Piece {
  choices?: {
    delta?: { content?: string | null };
    message?: { content?: string | null };
    finish_reason?: string | null;
  }[];
  usage?: { prompt_tokens?: number; completion_tokens?: number } | null;
  error?: { message?: string } | string;
}

/** Reads Server-Sent Events as they come, however they are cut. */
export class ChatReader {
  #rest = "";
  #isWhole = false;
  #end: { reason?: string; promptTokens?: number; completionTokens?: number } = {};

  constructor(private readonly tell: (text: string) => void) {}

  /** @throws Error what the model or the server said went wrong. */
  push(chunk: string): void {
    const events = (this.#rest + chunk).split(/\r\n\r\n|\n\n|\r\r/);
    this.#rest = events.pop() ?? "";
    for (const event of events) this.#take(event);
  }

  /** To be called when no more comes. */
  finish(): ChatEnd {
    if (this.#rest.trim()) this.#take(this.#rest);
    this.#rest = "";
    const { reason, promptTokens, completionTokens } = this.#end;
    return { reason, promptTokens, completionTokens, isWhole: this.#isWhole };
  }

  #take(event: string): void {
    const data = event
      .split(/\r\n|\n|\r/)
      .filter((line) => line.startsWith("data:"))
      .map((line) => line.slice(5).replace(/^ /, ""))
      .join("\n");
    if (data === "[DONE]") this.#isWhole = true;
    if (data === "" || data === "[DONE]") return;
    const piece = JSON.parse(data) as Piece;
    if (piece.error)
      throw new Error(
        typeof piece.error === "string" ? piece.error : (piece.error.message ?? "The model failed."),
      );
    const [choice] = piece.choices ?? [];
    const text = choice?.delta?.content ?? choice?.message?.content;
    if (text) this.tell(text);
    if (choice?.finish_reason) {
      this.#end.reason = choice.finish_reason;
      this.#isWhole = true;
    }
    if (piece.usage?.prompt_tokens !== undefined) this.#end.promptTokens = piece.usage.prompt_tokens;
    if (piece.usage?.completion_tokens !== undefined)
      this.#end.completionTokens = piece.usage.completion_tokens;
  }
}
