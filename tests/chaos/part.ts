/** A part of the fault table. The parts 0 to `of` - 1 together have every fault once. */
export interface Part {
  /** Any whole number from 0 on, such as the number of a day: the remainder by `of` selects the part. */
  number: number;
  of: number;
}

/** Reads `number/of`. Throws an error that shows an invalid text. */
export function parsePart(text: string): Part {
  const [, number, of] = /^(\d{1,9})\/(\d{1,3})$/.exec(text) ?? [];
  if (number === undefined || Number(of) < 1)
    throw new Error(`--part must be NUMBER/OF, such as 3/12, and is '${text}'.`);
  return { number: Number(number), of: Number(of) };
}

/** Neighbors of the table are in different parts: they are faults of the same server, and a part has faults of several servers. */
export const partOf = <T>(table: readonly T[], { number, of }: Part): T[] =>
  table.filter((_, at) => at % of === number % of);
