/** A short menu at a place of the page: arrows move in it, Escape and a press elsewhere close it. */

import { useEffect, useLayoutEffect, useRef } from "preact/hooks";

export interface MenuItem {
  readonly text: string;
  /** The key that does the same without the menu. */
  readonly keys?: string;
  readonly run: () => void;
  /** Of several that exclude each other, whether it is the one. */
  readonly isChecked?: boolean;
}

export interface MenuPart {
  readonly title?: string;
  readonly items: readonly MenuItem[];
  /** Short words beside each other. */
  readonly isInline?: boolean;
}

interface Props {
  readonly label: string;
  readonly parts: readonly MenuPart[];
  readonly place: DOMRect;
  readonly onClose: () => void;
}

const EDGE = 8;

export function Menu({ label, parts, place, onClose }: Props) {
  const box = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const { width, height } = element.getBoundingClientRect();
    const below = place.bottom + height + EDGE <= innerHeight;
    element.style.left = `${Math.max(EDGE, Math.min(place.left, innerWidth - width - EDGE))}px`;
    element.style.top = `${Math.max(EDGE, below ? place.bottom : Math.min(place.top - height, innerHeight - height - EDGE))}px`;
    element.querySelector<HTMLElement>("[role^=menuitem]")?.focus();
  }, [place]);
  useEffect(() => {
    const onElsewhere = (event: Event) => {
      if (!box.current?.contains(event.target as Node)) onClose();
    };
    document.addEventListener("pointerdown", onElsewhere, true);
    document.addEventListener("wheel", onElsewhere, { capture: true, passive: true });
    addEventListener("resize", onClose);
    return () => {
      document.removeEventListener("pointerdown", onElsewhere, true);
      document.removeEventListener("wheel", onElsewhere, true);
      removeEventListener("resize", onClose);
    };
  }, [onClose]);
  const onKeyDown = (event: KeyboardEvent) => {
    const all = [...(box.current?.querySelectorAll<HTMLElement>("[role^=menuitem]") ?? [])];
    const at = all.indexOf(document.activeElement as HTMLElement);
    const to = (index: number) => all[(index + all.length) % all.length]?.focus();
    if (event.key === "ArrowDown" || event.key === "ArrowRight") to(at + 1);
    else if (event.key === "ArrowUp" || event.key === "ArrowLeft") to(at - 1);
    else if (event.key === "Home") to(0);
    else if (event.key === "End") to(-1);
    else if (event.key === "Escape" || event.key === "Tab") onClose();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div ref={box} class="cell-menu" role="menu" tabIndex={-1} aria-label={label} onKeyDown={onKeyDown}>
      {parts.map((part, index) => (
        <div key={index} role="group" aria-label={part.title} class={part.isInline ? "inline" : undefined}>
          {part.title && (
            <div class="title quiet" aria-hidden="true">
              {part.title}
            </div>
          )}
          {part.items.map((item) => (
            <button
              key={item.text}
              type="button"
              {...(item.isChecked === undefined
                ? { role: "menuitem" as const }
                : { role: "menuitemradio" as const, "aria-checked": item.isChecked })}
              tabIndex={-1}
              onClick={() => {
                onClose();
                item.run();
              }}
            >
              <span>{item.text}</span>
              {item.keys && <kbd>{item.keys}</kbd>}
            </button>
          ))}
        </div>
      ))}
    </div>
  );
}
