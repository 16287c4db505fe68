/** Have the browser save something under a name. */

const KEPT_MS = 60_000;

export function saveBlob(content: Blob, name: string): void {
  const address = URL.createObjectURL(content);
  saveFrom(address, name);
  setTimeout(() => URL.revokeObjectURL(address), KEPT_MS);
}

/** The same for what the browser reads from an address by itself. */
export function saveFrom(address: string, name: string): void {
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.dataset.leave = "";
  link.click();
}
