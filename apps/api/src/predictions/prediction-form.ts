/**
 * Reads a prediction that is sent as a form (multipart/form-data): each part is the member of `input` with its name, a file as a data URL and
 * any other part as text. The part `request` has the other members of the body as JSON.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { escapePart } from '@millrace/shared/text/json-pointer';
import { brokenForm, invalidForm, openForm } from '../http/forms.ts';

export interface FormLimits {
  /** The most bytes of a file. */
  fileBytes: number;
  /** The most bytes of the part `request`. */
  jsonBytes: number;
  /** The longest text of a member, in UTF-16 units, as in JSON. */
  stringLength: number;
  /** Parses the part `request`. Throws ApiError. */
  parseJson(text: string): unknown;
}

const REQUEST = 'request';
const PARTS_MAX = 64;
const NAME_MAX = 100;
/** The bytes that one turn of the event loop reads. */
const TURN_BYTES = 65_536;
const MEDIA_TYPE = /^[\w.+-]{1,60}\/[\w.+-]{1,60}$/;
const UNKNOWN_TYPE = 'application/octet-stream';
/** Encodings that leave the bytes as they are. */
const ENCODINGS: ReadonlySet<string> = new Set(['', '7bit', '8bit', 'binary']);

/** Returns the body of the prediction. Rejects with ApiError. */
export async function readPredictionForm(body: Buffer, type: string, limits: FormLimits): Promise<unknown> {
  const parts = new Parts(limits);
  const form = openForm(type, {
    parts: PARTS_MAX,
    files: PARTS_MAX,
    fields: PARTS_MAX,
    fieldNameSize: NAME_MAX + 1,
    fieldSize: limits.jsonBytes,
  });
  let fault: Error | undefined;
  const guarded = (read: () => void) => {
    try {
      if (fault === undefined) read();
    } catch (error) {
      fault = error instanceof Error ? error : new Error(String(error));
    }
  };
  form.on('field', (...[name, value, isNameCut, isValueCut]: FieldEvent) =>
    guarded(() => parts.addText(name, value, isNameCut || isValueCut)),
  );
  form.on('file', (...[name, bytes, , encoding, mediaType]: FileEvent) => {
    const pieces: Buffer[] = [];
    bytes.on('data', (piece: Buffer) => pieces.push(piece));
    bytes.on('error', () => {});
    bytes.on('end', () => guarded(() => parts.addFile(name, Buffer.concat(pieces), { encoding, mediaType })));
  });
  for (const event of ['partsLimit', 'filesLimit', 'fieldsLimit'] as const)
    form.on(event, () => guarded(() => refuse('', 'The form has too many parts.', `at most ${PARTS_MAX} parts`)));
  const { promise: ended, resolve, reject } = Promise.withResolvers<void>();
  form.once('finish', resolve);
  form.on('error', (error: Error) => reject(brokenForm(error)));
  ended.catch(() => {});
  for (let at = 0; at < body.length && fault === undefined; at += TURN_BYTES) {
    if (at > 0) await nextTurn();
    form.write(body.subarray(at, at + TURN_BYTES));
  }
  if (fault === undefined) {
    form.end();
    await ended;
  }
  if (fault !== undefined) {
    form.destroy();
    throw fault;
  }
  await nextTurn();
  return parts.body();
}

type FieldEvent = [name: string, value: string, isNameCut: boolean, isValueCut: boolean];
/** The parameters of the parser's event. Nobody needs the name of the file. */
type FileEvent = [name: string, bytes: NodeJS.ReadableStream, filename: string, encoding: string, mediaType: string];

class Parts {
  readonly #limits: FormLimits;
  readonly #input = new Map<string, string>();
  #request: string | undefined;

  constructor(limits: FormLimits) {
    this.#limits = limits;
  }

  addText(name: string, value: string, isCut: boolean): void {
    this.#check(name, name === REQUEST && this.#request !== undefined);
    if (name === REQUEST) {
      if (isCut) refuse(`/${REQUEST}`, 'The part is too long.', `at most ${this.#limits.jsonBytes} bytes (JSON_LIMIT)`);
      this.#request = value;
      return;
    }
    if (isCut || value.length > this.#limits.stringLength)
      refuse(pointerOf(name), 'The part is too long.', `at most ${this.#limits.stringLength} characters`);
    // Other bytes than UTF-8 were decoded to U+FFFD, which makes different inputs equal.
    if (value.includes('\ufffd')) refuse(pointerOf(name), 'The part is not UTF-8, or holds U+FFFD.', 'UTF-8');
    this.#input.set(name, value);
  }

  addFile(name: string, bytes: Buffer, { encoding, mediaType }: { encoding: string; mediaType: string }): void {
    this.#check(name, name === REQUEST);
    if (!ENCODINGS.has(encoding.toLowerCase()))
      refuse(pointerOf(name), 'The file has a Content-Transfer-Encoding.', 'the bytes of the file');
    if (bytes.length > this.#limits.fileBytes)
      refuse(pointerOf(name), 'The file is too large.', `at most ${this.#limits.fileBytes} bytes (IMAGE_LIMIT)`);
    const type = MEDIA_TYPE.test(mediaType) ? mediaType.toLowerCase() : UNKNOWN_TYPE;
    this.#input.set(name, `data:${type};base64,${bytes.toString('base64')}`);
  }

  #check(name: string | undefined, isWrongRequest: boolean): void {
    if (name === undefined || name === '') refuse('', 'A part has no name.', 'a name for each part');
    else if (name.length > NAME_MAX || name === '__proto__')
      refuse('', 'The name of a part is not allowed.', `another name of at most ${NAME_MAX} characters`);
    else if (isWrongRequest)
      refuse(`/${REQUEST}`, `The part "${REQUEST}" is a file, or is there twice.`, 'one part with JSON text');
    else if (this.#input.has(name))
      refuse(pointerOf(name), 'The part is there twice.', 'a form for each input, or inputs as JSON');
  }

  /** The body, as if JSON had been sent. */
  body(): unknown {
    const request = this.#request === undefined ? {} : this.#limits.parseJson(this.#request);
    if (!isObject(request)) return refuse(`/${REQUEST}`, `The part "${REQUEST}" is no object.`, 'a JSON object');
    if ('inputs' in request) return refuse('/inputs', 'A form has one input.', 'inputs as JSON, or a form for each');
    const { input = {} } = request;
    if (!isObject(input)) return refuse('/input', 'The input of a form is no object.', 'an object, or no input');
    const double = [...this.#input.keys()].find((name) => Object.hasOwn(input, name));
    if (double !== undefined)
      return refuse(pointerOf(double), `The member is a part and in "${REQUEST}".`, 'each member once');
    return { ...request, input: { ...input, ...Object.fromEntries(this.#input) } };
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const pointerOf = (name: string): string => `/input/${escapePart(name.slice(0, NAME_MAX))}`;

function refuse(pointer: string, message: string, expected: string): never {
  throw invalidForm(pointer, message, expected);
}
