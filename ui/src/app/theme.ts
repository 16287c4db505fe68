/** Light, dark, or as the system has it; the sheet does the rest by `light-dark()`. */

import { effect, signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";
const KEY = "slipstream-theme";

export const theme = signal<Theme>((localStorage.getItem(KEY) as Theme | null) ?? "system");

const systemIsDark = matchMedia("(prefers-color-scheme: dark)");
/** Whether the page is dark now, for what is drawn on a canvas. */
export const isDark = signal(false);

export function keepTheme(): void {
  effect(() => {
    document.documentElement.dataset.theme = theme.value;
    if (theme.value === "system") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, theme.value);
    isDark.value = theme.value === "dark" || (theme.value === "system" && systemIsDark.matches);
  });
  systemIsDark.addEventListener("change", () => {
    isDark.value = theme.value === "dark" || (theme.value === "system" && systemIsDark.matches);
  });
}
