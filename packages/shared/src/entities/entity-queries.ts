/** The names of cached entity queries, which writers of entities invalidate. */

/** The query for the newest set of an entity. Only processes of 0.1.0 read its result. */
export const newestSetQuery = (tenant: string, entity: string): string => `entity-newest:${tenant}:${entity}`;
