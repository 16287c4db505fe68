/** Numbers, times and names as people read them. */

/** A number as the API spells it: what JSON cannot say comes as text. */
export type ApiNumber = number | "NaN" | "Infinity" | "-Infinity" | null;

export function toNumber(value: ApiNumber | undefined): number | undefined {
  if (value === null || value === undefined) return undefined;
  return typeof value === "number" ? value : Number(value);
}

/** A value in a table: five significant digits, no trailing zeros, exponents only where they help. */
export function shortNumber(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : "−∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e6) return minus(String(value));
  if (size >= 1e5 && size < 999_999.5) return minus(String(Math.round(value)));
  if (size >= 1e5 || size < 1e-4) {
    const [digits, exponent] = value.toExponential(3).split("e") as [string, string];
    return minus(`${trimmed(digits)}e${exponent.replace("+", "")}`);
  }
  return minus(trimmed(value.toPrecision(5)));
}

/** All digits that tell a double from every other. */
export const exactNumber = (value: number) =>
  Number.isFinite(value) ? minus(String(value)) : shortNumber(value);

function trimmed(digits: string): string {
  return digits.includes(".") ? digits.replace(/\.?0+$/, "") : digits;
}

function minus(text: string): string {
  return text.replace(/^-/, "−");
}

export function count(value: number): string {
  return value.toLocaleString("en-US");
}

/** A step, which may be any 64-bit integer: a browser's numbers have all digits of those up to 2⁵³, and of others it is said. */
export const stepText = (value: number) => (Number.isSafeInteger(value) ? "" : "≈ ") + count(value);

/** "1 run", "2,000 runs". */
export const many = (amount: number, one: string, more: string) =>
  `${count(amount)} ${amount === 1 ? one : more}`;

const UNITS: readonly (readonly [number, string])[] = [
  [86_400, "d"],
  [3_600, "h"],
  [60, "min"],
  [1, "s"],
];

/** A duration in its two largest units: "3 h 5 min". */
export function duration(ms: number): string {
  let seconds = Math.round(Math.abs(ms) / 1000);
  if (seconds < 1) return `${Math.round(Math.abs(ms))} ms`;
  const parts: string[] = [];
  for (const [size, unit] of UNITS) {
    const amount = Math.floor(seconds / size);
    if (amount || parts.length) parts.push(`${amount} ${unit}`);
    seconds -= amount * size;
    if (parts.length === 2) break;
  }
  return parts.filter((part) => !part.startsWith("0 ")).join(" ");
}

/** How long ago: "12 s ago", "3 h ago", and from a week on the day. */
export function ago(time: number, now: number = Date.now()): string {
  const seconds = Math.round((now - time) / 1000);
  if (seconds < 0) return "just now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)} h ago`;
  if (seconds < 7 * 86_400) return `${Math.floor(seconds / 86_400)} d ago`;
  return day(time);
}

export function day(time: number): string {
  return new Date(time).toLocaleDateString("en-CA");
}

export function moment(time: number): string {
  const at = new Date(time);
  return `${at.toLocaleDateString("en-CA")} ${at.toLocaleTimeString("en-GB")}`;
}

export function bytes(size: number): string {
  if (size < 1000) return `${size} B`;
  let value = size;
  for (const unit of ["kB", "MB", "GB", "TB"]) {
    value /= 1000;
    if (value < 1000 || unit === "TB") return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit}`;
  }
  return String(size);
}
