/** Errors as the Open Inference Protocol has them: `{"error": "..."}` and a status. */
import type { ApiError } from '@millrace/shared/errors';
import { ERRORS } from '@millrace/shared/errors';

export class V2Error extends Error {
  override name = 'V2Error';
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** The protocol's codes, as Triton uses them: 400 for a bad request of any kind, 404 for what is unknown, 503 for later. */
export function statusOf(error: ApiError): number {
  const { status } = ERRORS[error.code];
  if (status === 422 || status === 400) return 400;
  if (status === 429) return 503;
  return status;
}

/** What is wrong in one text, with what came: faults have no field of their own there. */
export function messageOf(error: ApiError): string {
  const [fault] = error.faults;
  if (!fault) return error.message;
  const { message, pointer, got } = fault;
  const at = pointer === '' ? '' : ` (${pointer})`;
  const text = error.message.includes(message) ? error.message : `${error.message} ${message}${at}`;
  return got === undefined || text.includes(got) ? text : `${text.replace(/\.$/, '')}; got ${got}.`;
}
