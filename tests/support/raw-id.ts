/** Returns the UUID of an id of the API, as Redis and Postgres have the id. A UUID stays unchanged. */
export const rawId = (id: string): string =>
  id.replace(/^[a-z]+_(.{8})(.{4})(.{4})(.{4})(.{12})$/, (_, ...parts: string[]) => parts.slice(0, 5).join('-'));
