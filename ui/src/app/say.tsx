/** Words for those who do not see the page: said when what has their attention is done. */

import { signal } from "@preact/signals";

const said = signal("");

export function say(text: string): void {
  // the same words once more are news, too
  said.value = said.peek() === text ? `${text}\u00a0` : text;
}

export function Said() {
  return (
    <div class="hidden-text" role="status">
      {said.value}
    </div>
  );
}
