/** Ctrl-K: go anywhere by name. */

import { signal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { mlflow } from "../api/request";
import type { SearchExperimentsResponse, SearchRegisteredModelsResponse } from "../api/schema";
import { anywhere } from "../lib/filter_language";
import { go, pageUrl } from "./router";

interface Place {
  kind: string;
  name: string;
  to: string;
}

export const isPaletteOpen = signal(false);
const PAGES: readonly Place[] = [
  { kind: "page", name: "Home", to: pageUrl([]) },
  { kind: "page", name: "Experiments", to: pageUrl(["experiments"]) },
  { kind: "page", name: "Models", to: pageUrl(["models"]) },
  { kind: "page", name: "Serving", to: pageUrl(["serving"]) },
  { kind: "page", name: "Settings", to: pageUrl(["settings"]) },
];
const TYPING_MS = 120;
const SHOWN = 8;

async function find(text: string, abort: AbortSignal): Promise<Place[]> {
  if (/^[0-9a-f]{32}$/.test(text)) return [{ kind: "run", name: text, to: pageUrl(["runs", text]) }];
  const filter = text ? `name ILIKE ${anywhere(text)}` : "";
  const [experiments, models] = await Promise.all([
    mlflow.post<SearchExperimentsResponse>("experiments/search", { max_results: SHOWN, filter }, abort),
    mlflow.get<SearchRegisteredModelsResponse>(
      "registered-models/search",
      { max_results: SHOWN, filter },
      abort,
    ),
  ]);
  return [
    ...(experiments.experiments ?? []).map((each) => ({
      kind: "experiment",
      name: each.name ?? "",
      to: pageUrl(["experiments", each.experiment_id ?? ""]),
    })),
    ...(models.registered_models ?? []).map((each) => ({
      kind: "model",
      name: each.name ?? "",
      to: pageUrl(["models", each.name ?? ""]),
    })),
  ];
}

export function Palette() {
  const dialog = useRef<HTMLDialogElement>(null);
  const [text, setText] = useState("");
  const [found, setFound] = useState<readonly Place[]>([]);
  const [active, setActive] = useState(0);
  const open = isPaletteOpen.value;

  // at once, and not after the first drawing: a key may come as soon as the page is there
  useLayoutEffect(() => {
    const listen = (event: KeyboardEvent) => {
      if (event.key === "k" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        isPaletteOpen.value = !isPaletteOpen.value;
      }
    };
    document.addEventListener("keydown", listen);
    return () => document.removeEventListener("keydown", listen);
  }, []);

  // the same: what is typed right after the key is meant for the box, and not for the page
  useLayoutEffect(() => {
    if (!open) {
      dialog.current?.close();
      return;
    }
    setText("");
    setActive(0);
    dialog.current?.showModal();
  }, [open]);

  useEffect(() => {
    if (!open) return;
    const abort = new AbortController();
    const timer = setTimeout(() => {
      find(text.trim(), abort.signal).then(
        setFound,
        () => abort.signal.aborted || setFound([]), // the pages can be gone to even if the server is away
      );
    }, TYPING_MS);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [text, open]);

  // What was found for the letters before still has to fit these ones: Enter goes to what is seen.
  const places = [...PAGES, ...found].filter((each) =>
    each.name.toLowerCase().includes(text.trim().toLowerCase()),
  );

  const choose = (place: Place | undefined) => {
    if (!place) return;
    dialog.current?.close(); // first, or it would take the keys back from the page that is gone to
    isPaletteOpen.value = false;
    go(place.to);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown") setActive((at) => Math.min(at + 1, places.length - 1));
    else if (event.key === "ArrowUp") setActive((at) => Math.max(at - 1, 0));
    else if (event.key === "Enter") choose(places[active]);
    else return;
    event.preventDefault();
  };
  return (
    <dialog ref={dialog} class="palette" aria-label="Go to" onClose={() => (isPaletteOpen.value = false)}>
      <input
        type="text"
        role="combobox"
        aria-autocomplete="list"
        aria-expanded="true"
        aria-controls="palette-places"
        aria-activedescendant={places[active] ? `place-${active}` : undefined}
        aria-label="Go to an experiment, a model, a run id or a page"
        placeholder="Go to an experiment, a model, a run id or a page"
        list={undefined}
        value={text}
        onInput={(event) => {
          setText(event.currentTarget.value);
          setActive(0);
        }}
        onKeyDown={onKeyDown}
      />
      <div id="palette-places" role="listbox" aria-label="Places">
        {places.map((place, index) => (
          <div
            key={place.to}
            id={`place-${index}`}
            role="option"
            tabIndex={-1}
            aria-selected={index === active}
            onClick={() => choose(place)}
            onKeyDown={onKeyDown}
          >
            <span>{place.name}</span>
            <small>{place.kind}</small>
          </div>
        ))}
      </div>
    </dialog>
  );
}
