/** Which packages of the runs' locks differ. */

export function packagesOf(lock: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of lock.split("\n")) {
    const text = line.replace(/^#\s*(?=[\w.-]+ @ )/, "").trim();
    const pinned = /^([\w.-]+(?:\[[^\]]*\])?)\s*==\s*([^\s;#\\]+)/.exec(text);
    const direct = /^([\w.-]+) @ (\S+)/.exec(text);
    const match = pinned ?? direct;
    if (match) found.set((match[1] as string).toLowerCase().replaceAll("_", "-"), match[2] as string);
  }
  return found;
}

export interface PackageRow {
  readonly name: string;
  /** In the order of the runs; `undefined` where a run has no lock. */
  readonly versions: readonly (string | undefined)[];
}

/** Those of which runs that have a lock have different versions, or some have none. */
export function differingPackages(locks: readonly (ReadonlyMap<string, string> | undefined)[]): PackageRow[] {
  const names = new Set<string>();
  for (const lock of locks) for (const name of lock?.keys() ?? []) names.add(name);
  return [...names]
    .sort()
    .map((name) => ({ name, versions: locks.map((lock) => lock && (lock.get(name) ?? "–")) }))
    .filter((row) => new Set(row.versions.filter((version) => version !== undefined)).size > 1);
}
