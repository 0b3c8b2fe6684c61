/** Reads the body of an upload: the bytes of the request, or the part `file` of a form. The bytes are streamed. */
import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import { ApiError } from '@millrace/shared/errors';
import { bodyError } from '../http/body-pieces.ts';
import { brokenForm, invalidForm, isForm, openForm } from '../http/forms.ts';

export interface UploadBody {
  bytes: Readable;
  mediaType: string | undefined;
  filename: string | undefined;
  /** Resolves at the end of the body to the fields of the form. Rejects with `invalid_request`. */
  fields(): Promise<Record<string, string>>;
  /** Stops the reading. */
  abandon(): void;
}

const FIELD_MAX = 100;
const LIMITS = { files: 1, fields: 2, parts: 3, fieldNameSize: FIELD_MAX, fieldSize: FIELD_MAX };

/** Rejects with `invalid_request` for a form without the part `file`. */
export async function readUploadBody(payload: Readable, headers: IncomingHttpHeaders): Promise<UploadBody> {
  const type = headers['content-type'];
  if (type === undefined || !isForm(headers))
    return { bytes: payload, mediaType: type, filename: undefined, fields: async () => ({}), abandon() {} };
  return readForm(payload, type);
}

async function readForm(payload: Readable, type: string): Promise<UploadBody> {
  const form = openForm(type, LIMITS);
  const fields: Record<string, string> = {};
  let fault: ApiError | undefined;
  const refuse = (error: ApiError) => {
    fault ??= error;
    form.destroy(error);
  };
  form.on('field', (name: string | undefined, value) => {
    if (name === 'expires_in') fields[name] = value;
    else refuse(invalidForm(pointerOf(name), 'The form has an unknown part.', 'only `file` and `expires_in`'));
  });
  // The parser can report a fault twice, on the form and on the part.
  form.on('error', () => {});
  for (const event of ['filesLimit', 'fieldsLimit', 'partsLimit'] as const)
    form.on(event, () => refuse(invalidForm('/file', 'The form has too many parts.', 'one part `file`')));
  const ended = new Promise<void>((resolve, reject) => {
    form.once('finish', resolve);
    form.once('error', (error: Error) => reject(fault ?? brokenForm(error)));
    payload.once('error', (error) => reject(bodyError(error)));
    payload.once('close', () => {
      if (!payload.readableEnded)
        reject(new ApiError('invalid_request', 'The connection ended before the end of the body.'));
    });
  });
  ended.catch(() => {});
  const started = new Promise<Part>((resolve) => {
    form.once('file', (...[name, bytes, filename, , mediaType]: FileEvent) => {
      bytes.on('error', () => {});
      resolve({ name, bytes, filename, mediaType });
    });
  });
  payload.pipe(form);
  const part = await Promise.race([started, ended]);
  if (part === undefined) throw invalidForm('/file', 'The form has no file.', 'a part `file` with a file name');
  const { name, bytes, filename, mediaType } = part;
  const abandon = () => {
    payload.unpipe(form);
    bytes.destroy();
    form.destroy();
  };
  if (name !== 'file') {
    abandon();
    throw invalidForm(pointerOf(name), 'The file is in an unknown part.', 'the part `file`');
  }
  // A form that ends in the middle of the file must not be the end of the file.
  void ended.catch((error: Error) => bytes.destroy(error));
  return { bytes, mediaType, filename, fields: () => ended.then(() => fields), abandon };
}

const pointerOf = (name: string | undefined): string => (name === undefined ? '' : `/${name.slice(0, 60)}`);

interface Part {
  /** Undefined for a part without a name. */
  name: string | undefined;
  bytes: Readable;
  filename: string | undefined;
  mediaType: string;
}

/** The parameters of the parser's event: also the transfer encoding, which browsers no longer send. */
type FileEvent = [name: string | undefined, bytes: Readable, filename: string, encoding: string, mediaType: string];
