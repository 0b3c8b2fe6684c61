/** Names as they are compared: case, width of characters, and surrounding or repeated white space do not matter. */
export function fold(name: string): string {
  return name.normalize('NFKC').toLowerCase().replace(/\s+/g, ' ').trim();
}
