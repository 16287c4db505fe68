/** Says that the way to the server is cut: what is shown stays, and must not be taken for what is. */

import { isCut, reconnect } from "./live";

export function Away() {
  return (
    <div class="away" role="status">
      {isCut.value && (
        <div>
          <span>The server cannot be reached. What you see may be out of date.</span>
          <button type="button" onClick={reconnect}>
            Try now
          </button>
        </div>
      )}
    </div>
  );
}
