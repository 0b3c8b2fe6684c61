/** Checks the types of the replies of the scripts. A reply of another type is a fault of a script or of the server. */

const unexpected = (reply: unknown): TypeError =>
  new TypeError(`A script of Redis returned an unexpected reply: ${JSON.stringify(reply)?.slice(0, 200)}.`);

const isTextOrNull = (item: unknown): item is string | null => item === null || typeof item === 'string';
const isNumber = (item: unknown): item is number => typeof item === 'number';

export function listOf(reply: unknown): unknown[] {
  if (Array.isArray(reply)) return reply;
  throw unexpected(reply);
}

export function textsOf(reply: unknown): (string | null)[] {
  const list = listOf(reply);
  if (list.every(isTextOrNull)) return list;
  throw unexpected(reply);
}

const isBytesOrNull = (item: unknown): item is Buffer | null => item === null || Buffer.isBuffer(item);

export function bytesOf(reply: unknown): (Buffer | null)[] {
  const list = listOf(reply);
  if (list.every(isBytesOrNull)) return list;
  throw unexpected(reply);
}

export function codesOf(reply: unknown): number[] {
  const list = listOf(reply);
  if (list.every(isNumber)) return list;
  throw unexpected(reply);
}

/** An outcome and its detail; a missing detail is ''. A detail that is a number is returned as text. */
export function outcomeOf(reply: unknown): [outcome: string, detail: string] {
  const [outcome, detail = ''] = listOf(reply);
  return [String(outcome), String(detail)];
}
