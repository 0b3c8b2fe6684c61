/** Escapes and unescapes the parts of JSON pointers (RFC 6901). */

/** Most names have nothing to escape, and each input of a request is looked at. */
export const escapePart = (name: string): string =>
  name.includes('~') || name.includes('/') ? name.replaceAll('~', '~0').replaceAll('/', '~1') : name;
export const unescapePart = (part: string): string => part.replaceAll('~1', '/').replaceAll('~0', '~');
