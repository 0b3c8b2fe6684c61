/** Finds the known names nearest to an unknown name, for "did you mean". */

/** The number of edits (insert, delete, change, swap of neighbours) between two texts. Returns limit + 1 above `limit`. */
export function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    let least = i;
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(previous[j]! + 1, current[j - 1]! + 1, previous[j - 1]! + (same ? 0 : 1));
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) cost = Math.min(cost, before[j - 2]! + 1);
      current[j] = cost;
      if (cost < least) least = cost;
    }
    if (least > limit) return limit + 1;
    before = previous;
    previous = current;
  }
  return Math.min(previous[b.length]!, limit + 1);
}

/** The largest number of character comparisons of a search, a few milliseconds. A search ignores the names after the limit. */
const COMPARISONS_MAX = 500_000;

/** Returns up to `count` names that are similar to `name`, nearest first. Ignores case. */
export function nearNames(name: string, names: Iterable<string>, count = 3): string[] {
  const wanted = name.slice(0, 100).toLowerCase();
  const limit = Math.max(1, Math.floor(wanted.length / 3));
  const found: { name: string; distance: number }[] = [];
  let comparisons = 0;
  for (const candidate of names) {
    if (Math.abs(candidate.length - wanted.length) <= limit) comparisons += candidate.length * wanted.length;
    comparisons += 1;
    if (comparisons > COMPARISONS_MAX) break;
    const other = candidate.toLowerCase();
    const distance = wanted.length > 2 && other.startsWith(wanted) ? 0.5 : editDistance(wanted, other, limit);
    if (distance <= limit) found.push({ name: candidate, distance });
  }
  found.sort((x, y) => x.distance - y.distance || (x.name < y.name ? -1 : 1));
  return found.slice(0, count).map((entry) => entry.name);
}
