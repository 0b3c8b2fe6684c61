/** Other spellings of a request's path. A router can treat a spelling as the same route or as another route. */

const hex = (letter: string): string => letter.charCodeAt(0).toString(16);

/** The path itself comes first. Every text can be sent as the request target of HTTP/1.1. */
export function spellingsOf(path: string): string[] {
  const letters = [...path].flatMap((letter, at) => (/[a-z0-9]/i.test(letter) ? [at] : []));
  const replaced = (at: number, text: string) => path.slice(0, at) + text + path.slice(at + 1);
  const slashes = [...path].flatMap((letter, at) => (letter === '/' ? [at] : []));
  return [
    path,
    ...letters.map((at) => replaced(at, `%${hex(path[at] as string)}`)),
    ...letters.slice(0, 2).map((at) => replaced(at, `%25${hex(path[at] as string)}`)),
    path.replaceAll(/[a-z0-9]/gi, (letter) => `%${hex(letter).toUpperCase()}`),
    ...slashes.map((at) => replaced(at, '//')),
    ...slashes.slice(1).map((at) => replaced(at, '%2F')),
    `/%2F${path.slice(1)}`,
    ...slashes.map((at) => replaced(at, '/./')),
    ...slashes.map((at) => replaced(at, '/x/../')),
    `/${path.slice(1).replaceAll('/', '\\')}`,
    path.toUpperCase(),
    path.replace(/[a-z]/, (letter) => letter.toUpperCase()),
    `http://x${path}`,
    `HTTP://X:80${path}`,
    `https://user:password@x${path}`,
    `http://x/v2/health/live/..${path}`,
    `http://x/%2e${path}`,
    `//x${path}`,
    `/%2e${path}`,
    `/v2/health/live/..${path}`,
    `/v2/health/%2e%2e/%2e%2e${path}`,
    `${path}/`,
    `${path}//`,
    `${path}/.`,
    `${path};`,
    `/;${path}`,
    `${path}?`,
    `${path}?/v2/health/live`,
    `${path}%3f`,
    `${path}%23`,
    `${path}%00`,
    `${path}%20`,
    `${path}%`,
    `${path}%zz`,
  ];
}
