/** What is around every page: the bar, messages, the palette, the list of keys. */

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { hasToken, onUnauthorised, setToken } from "../api/request";
import { Away } from "./away";
import { Dialog, DialogButtons } from "./dialog";
import { focusContent } from "./focus";
import { isPaletteOpen, Palette } from "./palette";
import { pageUrl, path } from "./router";
import { Said } from "./say";
import { ShortcutList } from "./shortcuts";
import { Toasts } from "./toasts";

const PLACES = [
  ["experiments", "Experiments"],
  ["models", "Models"],
  ["serving", "Serving"],
] as const;

export function Shell({ children }: { children: ComponentChildren }) {
  const here = path.value.split("/")[0] ?? "";
  return (
    <>
      <button type="button" class="skip" onClick={focusContent}>
        Skip to the content
      </button>
      <header class="bar">
        <a
          class="brand"
          href={pageUrl([])}
          aria-label="slipstream, home"
          aria-current={here === "" ? "page" : undefined}
        >
          <svg viewBox="0 0 16 16" aria-hidden="true">
            <path d="M1 11c4 0 4-6 8-6s4 4 6 5" />
            <path d="M1 14c5 0 5-5 8.5-5s3.5 2.500 5.500 3.500" />
          </svg>
          <span>slipstream</span>
        </a>
        <nav aria-label="Pages">
          {PLACES.map(([to, name]) => (
            <a key={to} href={pageUrl([to])} aria-current={here === to ? "page" : undefined}>
              {name}
            </a>
          ))}
        </nav>
        <button
          type="button"
          class="search"
          aria-haspopup="dialog"
          onClick={() => (isPaletteOpen.value = true)}
        >
          <svg viewBox="0 0 16 16" aria-hidden="true">
            <circle cx="7" cy="7" r="4.5" />
            <path d="M10.500 10.500 14.500 14.500" />
          </svg>
          <span>Go to…</span>
          <kbd>Ctrl K</kbd>
        </button>
        <a
          class="icon"
          href={pageUrl(["settings"])}
          aria-label="Settings"
          aria-current={here === "settings" ? "page" : undefined}
        >
          <svg viewBox="0 0 16 16" aria-hidden="true">
            <circle cx="8" cy="8" r="2.2" />
            <path d="M8 1v2.500M8 12.500V15M1 8h2.500M12.500 8H15M3 3l1.800 1.800M11.200 11.200 13 13M13 3l-1.800 1.800M4.800 11.200 3 13" />
          </svg>
        </a>
      </header>
      <main id="main" tabIndex={-1}>
        {children}
      </main>
      <Said />
      <Away />
      <Toasts />
      <Palette />
      <ShortcutList />
      <TokenDialog />
    </>
  );
}

/** Asks for the server's token when it wants one. */
function TokenDialog() {
  const [wanted, setWanted] = useState(false);
  onUnauthorised.call = () => setWanted(true);
  if (!wanted) return null;
  return (
    <Dialog title="This server asks for its token" onClose={() => setWanted(false)}>
      <form
        method="dialog"
        onSubmit={(event) => {
          setToken(String(new FormData(event.currentTarget).get("token")).trim());
          location.reload();
        }}
      >
        <p>
          {hasToken()
            ? "The one that this browser has is not accepted."
            : "It was set where the server was started, and is kept in this browser until you forget it in Settings."}
        </p>
        <label>
          Token
          <input name="token" type="password" autocomplete="current-password" required />
        </label>
        <DialogButtons action="Go on" onClose={() => setWanted(false)} />
      </form>
    </Dialog>
  );
}
