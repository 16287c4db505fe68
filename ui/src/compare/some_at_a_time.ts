/** Many requests, some at a time, so that a hundred runs do not stop everything else. */

const TOGETHER = 6;

export async function eachOf<T, R>(items: readonly T[], read: (item: T) => Promise<R>): Promise<R[]> {
  const found: R[] = new Array(items.length);
  let next = 0;
  const work = async () => {
    while (next < items.length) {
      const at = next++;
      found[at] = await read(items[at] as T);
    }
  };
  await Promise.all(Array.from({ length: Math.min(TOGETHER, items.length) }, work));
  return found;
}
