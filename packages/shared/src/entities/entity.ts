/** A row that inputs name by key. `vector` is there in engines, and absent where only names are needed (the API). */
export interface Entity {
  key: string;
  name: string;
  aliases: readonly string[];
  attributes: Readonly<Record<string, string>>;
  vector?: Float32Array;
}

/** The entities that a model version reads, fixed by its digest. Look-ups never do I/O. */
export interface Entities {
  /** By key, name or alias; case and surrounding or repeated white space do not matter. */
  find(entity: string, nameOrAlias: string): Entity | undefined;
  /** By exact key. */
  get(entity: string, key: string): Entity | undefined;
  /** Names like the one given, nearest first: for "did you mean". */
  near(entity: string, name: string, limit?: number): string[];
  /** All rows, in the order of their file. */
  all(entity: string): readonly Entity[];
}
