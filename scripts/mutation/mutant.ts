/** A small change of a program. The text from `start` to `end` is replaced. */
export interface Mutant {
  start: number;
  end: number;
  replacement: string;
}

/** Returns the text of the program with the change. */
export const applyMutant = (source: string, { start, end, replacement }: Mutant): string =>
  source.slice(0, start) + replacement + source.slice(end);

const PLACE_CHARACTERS = 60;

const short = (text: string): string => {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > PLACE_CHARACTERS ? `${line.slice(0, PLACE_CHARACTERS)}…` : line;
};

/** Returns the change as `before → after`, on one line. */
export const textOf = (source: string, { start, end, replacement }: Mutant): string =>
  `${short(source.slice(start, end))} → ${short(replacement) || '(nothing)'}`;

/** The line of a position, from 1. */
export const lineOf = (source: string, position: number): number => source.slice(0, position).split('\n').length;
