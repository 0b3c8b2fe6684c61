/** Escapes and unescapes the parts of JSON pointers (RFC 6901). */

export const escapePart = (name: string): string => name.replaceAll('~', '~0').replaceAll('/', '~1');
export const unescapePart = (part: string): string => part.replaceAll('~1', '/').replaceAll('~0', '~');
