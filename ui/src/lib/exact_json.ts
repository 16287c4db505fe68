/**
 * JSON whose whole numbers keep all of their digits: those beyond 2⁵³, which `JSON.parse` rounds, become a `bigint`, and are
 * written as numbers again.
 */

const TOKENS = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?/g;
const LONG = /\d{16}/;

export function parseExact(text: string): unknown {
  if (!LONG.test(text)) return JSON.parse(text);
  const sign = signFor(text);
  const marked = text.replace(TOKENS, (token) =>
    /^-?\d{16,}$/.test(token) && !Number.isSafeInteger(Number(token)) ? `"${sign}${token}"` : token,
  );
  return JSON.parse(marked, (_, value: unknown) =>
    typeof value === "string" && value.startsWith(sign) ? BigInt(value.slice(sign.length)) : value,
  );
}

const WORDS = /"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b/g;

/** What a program answered that writes NaN and Infinity as numbers, which JSON has not: they become text. */
export function parseAnswer(text: string): unknown {
  try {
    return parseExact(text);
  } catch (error) {
    const quoted = text.replace(WORDS, (found) => (found.startsWith('"') ? found : `"${found}"`));
    if (quoted === text) throw error;
    return parseExact(quoted);
  }
}

export function stringifyExact(value: unknown, indent?: number): string {
  const numbers: bigint[] = [];
  const plain = JSON.stringify(value, (_, each: unknown) => (typeof each === "bigint" ? Number(each) : each));
  const sign = signFor(plain ?? "");
  const text = JSON.stringify(
    value,
    (_, each: unknown) => (typeof each === "bigint" ? sign + (numbers.push(each) - 1) : each),
    indent,
  );
  if (numbers.length === 0) return text;
  return text.replace(new RegExp(`"${sign}(\\d+)"`, "g"), (_, at: string) => String(numbers[Number(at)]));
}

/** The beginning of a text that occurs nowhere in another one. */
function signFor(text: string): string {
  let sign = "~whole~";
  while (text.includes(sign)) sign += "~";
  return sign;
}

/** A whole number from its text: beyond 2⁵³ as a `bigint`. */
export function wholeFrom(text: string): number | bigint | undefined {
  const number = Number(text);
  if (Number.isSafeInteger(number)) return number;
  return /^[-+]?\d+$/.test(text.trim()) ? BigInt(text.trim().replace(/^\+/, "")) : undefined;
}
