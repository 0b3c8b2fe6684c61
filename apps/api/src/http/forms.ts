/** Forms with files (multipart/form-data): their media type, their parser and the errors of a form that cannot be read. */
import type { IncomingHttpHeaders } from 'node:http';
import { Busboy, type BusboyConfig, type BusboyInstance } from '@fastify/busboy';
import { ApiError } from '@millrace/shared/errors';

export const FORM_TYPE = 'multipart/form-data';
const FORM = /^multipart\/form-data\s*(;|$)/i;
const BOUNDARY = /;\s*boundary=(?:"([^"]*)"|([^;\s]*))/i;
/** RFC 2046 allows 70 characters. */
const BOUNDARY_MAX = 70;
/** A part has few headers. */
const HEADER_PAIRS = 20;

export const isForm = ({ 'content-type': type = '' }: IncomingHttpHeaders): boolean => FORM.test(type);

/** A parser for a form of this media type. A part without a name has the name undefined. Throws `invalid_request`. */
export function openForm(type: string, limits: NonNullable<BusboyConfig['limits']>): BusboyInstance {
  const boundary = BOUNDARY.exec(type);
  if ((boundary?.[1] ?? boundary?.[2] ?? '').length > BOUNDARY_MAX)
    throw invalidForm('', 'The boundary of the form is too long.', `at most ${BOUNDARY_MAX} characters`);
  try {
    return new Busboy({ headers: { 'content-type': type }, limits: { ...limits, headerPairs: HEADER_PAIRS } });
  } catch (error) {
    throw brokenForm(error);
  }
}

/** The error of the parser, for the caller. */
export const brokenForm = (error: unknown): ApiError =>
  invalidForm(
    '',
    `The form cannot be read: ${error instanceof Error ? error.message.slice(0, 200) : 'broken'}.`,
    'multipart/form-data with its boundary',
  );

export function invalidForm(pointer: string, message: string, expected: string): ApiError {
  return new ApiError('invalid_request', `${message} Send ${expected}.`, { faults: [{ pointer, message, expected }] });
}
