/** Whether what somebody logged may be the target of a link. */

const SAFE = new Set(["http:", "https:", "mailto:"]);

export interface SafeLink {
  readonly href: string;
  /** Whether it leads away from this server. */
  readonly isForeign: boolean;
}

/** The link's target, or `undefined` if it is more than a place to go to. `base` is what relative ones are below. */
export function safeLink(text: string, base: string = document.baseURI): SafeLink | undefined {
  const href = text.trim();
  // Browsers drop control characters inside of a scheme and read a backslash as a slash.
  if (href === "" || /[\p{Cc}\p{Z}\\]/u.test(href) || href.startsWith("//")) return undefined;
  let there: URL;
  try {
    there = new URL(href, base);
  } catch {
    return undefined;
  }
  if (!SAFE.has(there.protocol) || there.username || there.password) return undefined;
  return {
    href: there.href,
    isForeign: there.protocol === "mailto:" || there.origin !== new URL(base).origin,
  };
}
