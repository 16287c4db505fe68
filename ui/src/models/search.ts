/** What is typed into the search of models. */

import { anywhere } from "../lib/filter_language";

/** Plain words look for a name, "in" and "like" among them; what compares something with a value is the search language. */
export function filterOf(text: string): string {
  const plain = text.trim();
  if (plain === "") return "";
  return /[=<>]|\bi?like\s*['"]|\bin\s*\(/i.test(plain) ? plain : `name ILIKE ${anywhere(plain)}`;
}
