/** The four ends of a request for a prediction. */
import type { PredictionRecord, QueueEstimate } from '@millrace/shared/predictions/prediction';
import type { CachedAnswer } from '../cache/cache-lookup.ts';

export type Outcome =
  | CachedAnswer
  /** Terminal. */
  | { kind: 'answered'; record: PredictionRecord; cacheStatus: string }
  /** Promised: to be fetched later. `room` is how many more its model's queue takes. */
  | { kind: 'accepted'; record: PredictionRecord; queue: QueueEstimate; room: number; cacheStatus: string }
  /** Nobody is there any more. */
  | { kind: 'gone' };
