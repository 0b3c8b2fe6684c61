/** The last inputs of a model, in the browser's own storage. A private window or a full storage only loses the list. */

export interface Recent {
  input: unknown;
  subject: string;
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
  'result' in item;

export function addRecent(model: string, recent: Recent): Recent[] {
  const text = JSON.stringify(recent.input);
  const others = readRecent(model).filter(({ input }) => JSON.stringify(input) !== text);
  const list = text.length > INPUT_MAX ? others : [recent, ...others].slice(0, KEPT);
  try {
    localStorage.setItem(keyOf(model), JSON.stringify(list));
  } catch {
    // The list is a convenience.
  }
  return list;
}
