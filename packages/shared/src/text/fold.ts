/** Normalizes a name for comparison: ignores case, character width, and surrounding and repeated white space. */
export function fold(name: string): string {
  return name.normalize('NFKC').toLowerCase().replace(/\s+/g, ' ').trim();
}
