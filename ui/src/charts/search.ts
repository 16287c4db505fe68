/** Names that fit what was typed: a regular expression where it is one, else all of its words. */

export function matching(names: readonly string[], search: string): readonly string[] {
  const text = search.trim();
  if (!text) return names;
  const words = text.toLowerCase().split(/\s+/);
  let pattern: RegExp | undefined;
  try {
    pattern = new RegExp(text, "i");
  } catch {
    // half typed, or not meant as one
  }
  return names.filter((name) => {
    const plain = name.toLowerCase();
    return words.every((word) => plain.includes(word)) || pattern?.test(name);
  });
}
