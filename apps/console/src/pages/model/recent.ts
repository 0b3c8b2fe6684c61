/** The last inputs of a model, in the storage of the browser. Where the browser stores nothing (a private window, a full storage), the list is empty. */

export interface Recent {
  input: unknown;
  /** The input in a few words. */
  subject: string;
  /** The output in a few words. */
  result: string;
}

const KEPT = 8;
/** Larger inputs are not kept. */
const INPUT_MAX = 20_000;

const keyOf = (model: string): string => `millrace recent ${model}`;

export function readRecent(model: string): Recent[] {
  try {
    const list: unknown = JSON.parse(localStorage.getItem(keyOf(model)) ?? '[]');
    return Array.isArray(list) ? list.filter(isRecent).slice(0, KEPT) : [];
  } catch {
    return [];
  }
}

const isRecent = (item: unknown): item is Recent =>
  typeof item === 'object' &&
  item !== null &&
  'input' in item &&
  'subject' in item &&
  typeof item.subject === 'string' &&
  'result' in item &&
  typeof item.result === 'string';

export function addRecent(model: string, recent: Recent): Recent[] {
  const text = JSON.stringify(recent.input);
  const others = readRecent(model).filter(({ input }) => JSON.stringify(input) !== text);
  const list = text.length > INPUT_MAX ? others : [recent, ...others].slice(0, KEPT);
  try {
    localStorage.setItem(keyOf(model), JSON.stringify(list));
  } catch {
    // The storage is full or closed. The page works without the list.
  }
  return list;
}
