/** A talk with a chat model, in turns, and what of it is sent with the next question. */

export interface Turn {
  readonly question: string;
  /** What came of the answer: of a stopped or broken one a part. */
  readonly answer: string;
  readonly failure?: string;
  /** How it went. */
  readonly note?: string;
}

export interface ChatMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** Questions and answers by turns, as models want them: a question that got no word of an answer is left out. */
export function messagesOf(system: string, before: readonly Turn[], question: string): ChatMessage[] {
  return [
    ...(system.trim() ? [{ role: "system" as const, content: system.trim() }] : []),
    ...before
      .filter((turn) => turn.answer !== "")
      .flatMap((turn): ChatMessage[] => [
        { role: "user", content: turn.question },
        { role: "assistant", content: turn.answer },
      ]),
    { role: "user", content: question },
  ];
}
