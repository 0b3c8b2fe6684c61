/** The errors of the Open Inference Protocol: a status and the body `{"error": "..."}`. */

import { ERRORS } from '@millrace/shared/error-table';
import type { ApiError } from '@millrace/shared/errors';

export class V2Error extends Error {
  override name = 'V2Error';
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** The status codes that Triton uses: 400 for every bad request, 404 for an unknown name, 503 for a later retry. */
export function statusOf(error: ApiError): number {
  const { status } = ERRORS[error.code];
  if (status === 422 || status === 400) return 400;
  if (status === 429) return 503;
  return status;
}

/** States the fault and the received value in one text, because the protocol has no field for faults. */
export function messageOf(error: ApiError): string {
  const [fault] = error.faults;
  if (!fault) return error.message;
  const { message, pointer, got } = fault;
  const at = pointer === '' ? '' : ` (${pointer})`;
  const text = error.message.includes(message) ? error.message : `${error.message} ${message}${at}`;
  return got === undefined || text.includes(got) ? text : `${text.replace(/\.$/, '')}; got ${got}.`;
}
