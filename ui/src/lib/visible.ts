/** Text in which nothing hides: signs that turn the direction of writing or take no room are shown by their numbers. */

// what joins letters and emoji stays
const HIDDEN = /(?![\t\n\u00ad\u200c\u200d])[\p{Cc}\p{Cf}]/gu;

export function visible(text: string): string {
  return text.replaceAll("\r\n", "\n").replace(HIDDEN, (sign) => {
    const code = sign.codePointAt(0) as number;
    return code < 0x20
      ? String.fromCodePoint(0x2400 + code)
      : `⟨${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
  });
}

/** The same for a name, which is one line. */
export function visibleLine(text: string): string {
  return visible(text).replace(/[\n\r\t\u2028\u2029]/g, " ");
}
