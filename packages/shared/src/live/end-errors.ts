/** The errors of predictions that end without a result of the model, as JSON text. */
import { problem } from '../errors.ts';

export const EXPIRED = JSON.stringify(problem('expired', 'The prediction did not complete before its deadline.'));
export const LOST = JSON.stringify(problem('worker_lost', 'Each execution of the prediction ended with its worker.'));
export const CANCELED = JSON.stringify(problem('canceled', 'The prediction was canceled on request.'));
export const UNREADABLE_TASK = JSON.stringify(
  problem('internal', 'The input of the prediction cannot be read from the ledger. Send the request again.'),
);
