/** The four outcomes of a request for a prediction. */
import type { Prediction, QueueEstimate } from '@millrace/shared/predictions/prediction';
import type { CachedResponse } from '../cache/cache-lookup.ts';

/** The prediction is terminal. */
export interface CompletedOutcome {
  kind: 'completed';
  record: Prediction;
  cacheStatus: string;
  /** An earlier request with the same Idempotency-Key created the prediction. */
  replayed?: true;
}

/** The API promises the prediction: the client fetches the result later. */
export interface AcceptedOutcome {
  kind: 'accepted';
  record: Prediction;
  queue: QueueEstimate;
  /** How many more predictions the queue of the model takes. */
  room: number;
  cacheStatus: string;
  /** An earlier request with the same Idempotency-Key created the prediction. */
  replayed?: true;
}

export type Outcome =
  | CachedResponse
  | CompletedOutcome
  | AcceptedOutcome
  /** The client closed the connection. */
  | { kind: 'disconnected' };
