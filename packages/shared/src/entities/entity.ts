/** A row of an entity, which inputs name by key. `vector` is present in engines and absent in the API. */
export interface Entity {
  key: string;
  name: string;
  aliases: readonly string[];
  attributes: Readonly<Record<string, string>>;
  vector?: Float32Array;
}

/** The entities of a model version, fixed by the digest of the version. Look-ups do no I/O. */
export interface Entities {
  /** Finds a row by key, name or alias. Ignores case, and surrounding and repeated white space. */
  find(entity: string, nameOrAlias: string): Entity | undefined;
  /** Finds a row by its exact key. */
  get(entity: string, key: string): Entity | undefined;
  /** Returns similar names, nearest first, for "did you mean". */
  near(entity: string, name: string, limit?: number): string[];
  /** Returns all rows in the order of their file. */
  all(entity: string): readonly Entity[];
}
