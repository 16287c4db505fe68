/** Text into the clipboard, also where the page did not come by HTTPS: there browsers have the old way only. */

export async function copyText(text: string): Promise<void> {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "hidden-text";
  // behind a dialog nothing can be selected
  const room = document.querySelector("dialog[open]") ?? document.body;
  const focused = document.activeElement;
  room.append(area);
  area.select();
  const isDone = document.execCommand("copy");
  area.remove();
  if (focused instanceof HTMLElement) focused.focus();
  if (!isDone)
    throw new Error("The browser does not let this page copy. Select the text and copy it by hand.");
}
