/** Errors in the forms of OpenAI and of text-embeddings-inference. The errors have the messages and the codes of Millrace. */
import { ERRORS } from '@millrace/shared/error-table';
import type { ApiError } from '@millrace/shared/errors';

export interface ProtocolError {
  status: number;
  body: unknown;
  headers: Readonly<Record<string, string>>;
}

/** OpenAI's clients decide by the status, and repeat a 500 unless a header forbids the repetition. */
export function openAiError(error: ApiError): ProtocolError {
  const { status: own, retryable } = ERRORS[error.code];
  const status = own === 422 ? 400 : own;
  const [fault] = error.faults;
  const param = fault === undefined || fault.in !== undefined ? null : paramOf(fault.pointer);
  return {
    status,
    body: { error: { message: messageOf(error), type: typeOf(status), param, code: error.code } },
    headers: { ...retryAfter(error), ...(status >= 500 && !retryable ? { 'x-should-retry': 'false' } : {}) },
  };
}

function typeOf(status: number): string {
  if (status === 429) return 'rate_limit_error';
  if (status === 401) return 'authentication_error';
  return status >= 500 ? 'server_error' : 'invalid_request_error';
}

/** The member of the request: OpenAI names members without a slash. */
const paramOf = (pointer: string): string | null =>
  (/^(input \d+|the input)$/.test(pointer) ? 'input' : pointer.split('/')[1]) || null;

/** 413: the request is at fault. 424: the model failed. 429: later. */
export function teiError(error: ApiError): ProtocolError {
  const { status: own } = ERRORS[error.code];
  const [status, type] = teiStatus(own);
  return { status, body: { error: messageOf(error), error_type: type }, headers: retryAfter(error) };
}

function teiStatus(status: number): readonly [number, string] {
  if (status === 400 || status === 413) return [413, 'Validation'];
  if (status === 422) return [422, 'Tokenizer'];
  if (status === 429) return [429, 'Overloaded'];
  if (status === 503) return [503, 'Unhealthy'];
  return status >= 500 ? [424, 'Backend'] : [status, 'Validation'];
}

/** States a fault that the message does not state. */
function messageOf({ message, faults: [fault] }: ApiError): string {
  if (fault === undefined || message.includes(fault.message)) return message;
  return `${message} ${fault.message}${fault.got === undefined ? '' : `; got ${fault.got}`}.`;
}

const retryAfter = ({ retryAfterS }: ApiError): Record<string, string> =>
  retryAfterS === undefined ? {} : { 'retry-after': String(retryAfterS) };
