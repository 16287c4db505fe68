/** One request to a served model, through the server that this page is from. */

import { ApiError, fetchChecked, own } from "../api/request";
import { parseAnswer, stringifyExact } from "../lib/exact_json";

export interface Question {
  readonly server: string;
  readonly model: string | undefined;
  readonly kind: "invocations" | "chat";
  readonly request: Readonly<Record<string, unknown>>;
}

const SHOWN = 300;

function sent(question: Question, abort: AbortSignal): Promise<Response> {
  return fetchChecked(own.path("serving/try"), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: stringifyExact(question),
    signal: abort,
  });
}

export async function ask(
  question: Question,
  abort: AbortSignal,
): Promise<{ answer: unknown; milliseconds: number }> {
  const began = performance.now();
  const text = await (await sent(question, abort)).text();
  const milliseconds = performance.now() - began;
  try {
    return { answer: parseAnswer(text), milliseconds };
  } catch {
    throw new Error(`The model answered what is no JSON: ${text.slice(0, SHOWN)}`);
  }
}

export const CUT =
  "The connection was cut before the answer was whole: the server stopped, or is starting anew.";

/** Ask for a stream, and be told each piece of its text as it comes. */
export async function askStream(
  question: Question,
  abort: AbortSignal,
  take: (chunk: string) => void,
): Promise<void> {
  const answer = await sent(question, abort);
  if (!answer.body) return;
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { value, done } = await reader.read().catch((error: unknown) => {
        throw abort.aborted ? error : new ApiError(CUT, 0, "CUT");
      });
      if (done) return;
      take(value);
    }
  } finally {
    // what nobody reads any more must not go on being made; of a stream that has ended this does nothing
    reader.cancel().catch(() => {});
  }
}
