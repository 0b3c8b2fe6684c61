import type { PromiseRow, TerminalRow } from '@millrace/shared/ledger/ledger';
import { newPredictionId, shardOf } from '@millrace/shared/predictions/ids';
import { NO_FACTS } from '@millrace/shared/predictions/timeline';

/** A promise of a prediction of the model `m`, created at `createdAt`. */
export function promiseRow(given: Partial<PromiseRow> = {}): PromiseRow {
  const { model = 'm', createdAt = Date.now() } = given;
  return {
    id: newPredictionId(shardOf(model), createdAt),
    tenant: 'default',
    model,
    version: '1',
    digest: 'd'.repeat(64),
    priority: 'normal',
    task: '{"shape":"one","rows":["[1]"]}',
    options: null,
    metadata: '',
    createdAt,
    expiresAt: createdAt + 60_000,
    idempotencyHash: null,
    rows: 1,
    list: false,
    cache: 'miss',
    ...given,
  };
}

/** The end of a prediction. By default the first attempt succeeds. */
export function terminalRow(given: Partial<TerminalRow> = {}): TerminalRow {
  const promise = promiseRow(given);
  return {
    ...promise,
    status: 'succeeded',
    result: '{"output":42}',
    startedAt: promise.createdAt + 1,
    completedAt: promise.createdAt + 5,
    attempts: 1,
    opening: 0,
    inferenceMs: 1.5,
    batchSize: 8,
    ...NO_FACTS,
    ...given,
  };
}
