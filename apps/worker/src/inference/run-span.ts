/**
 * The spans of a run. A prediction that is alone in its run has the run in its own trace. A run of several predictions is a trace
 * of its own with a link to each prediction, because a span has only one parent.
 */
import { previousAttemptOf, traceOfState } from '@millrace/shared/live/state';
import type { Finished, LiveStore, Taken } from '@millrace/shared/live/store';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { publicId } from '@millrace/shared/predictions/public-ids';
import type { ModelVersion } from '@millrace/shared/registry/registry-types';
import { isSampled } from '@millrace/shared/tracing/trace-context';
import { endSpan, errorOf, type Span, type Tracing, textOfSpan } from '@millrace/shared/tracing/tracing';
import type { EngineRun } from '../engine/engine-pool.ts';

export interface SpanTarget {
  version: ModelVersion;
  shard: number;
  workerId: string;
}

interface StartParams {
  tracing: Tracing;
  target: SpanTarget;
  taken: readonly Taken[];
  startedAt: number;
}

export class RunSpan {
  readonly #tracing: Tracing;
  readonly #span: Span;
  readonly #text: string;

  /** Undefined where no trace of the predictions is recorded. */
  static start({ tracing, target, taken, startedAt }: StartParams): RunSpan | undefined {
    const traces = taken.flatMap(({ state }) => traceOfState(state) ?? []).filter(isSampled);
    const [first] = traces;
    if (first === undefined) return undefined;
    const alone = taken.length === 1 ? taken[0] : undefined;
    const span = tracing.start(`process ${target.version.model}`, {
      kind: 'consumer',
      startMs: startedAt,
      attributes: {
        ...attributesOf(target),
        'messaging.batch.message_count': taken.length,
        ...(alone ? { ...ofPrediction(alone.id), 'millrace.attempt': alone.attempt } : {}),
      },
      ...(alone ? { parent: first } : { links: traces, always: true }),
    });
    return new RunSpan(tracing, span);
  }

  private constructor(tracing: Tracing, span: Span) {
    this.#tracing = tracing;
    this.#span = span;
    this.#text = textOfSpan(span);
  }

  /** Writes the parts of a call of an engine. */
  ran({ endedAt, inferenceMs, encodeMs, decodeMs, rows }: EngineRun): void {
    const startMs = endedAt - inferenceMs;
    const attributes = { 'millrace.run.rows': rows };
    const runMs = startMs + encodeMs;
    const decodeAt = Math.max(runMs, endedAt - decodeMs);
    for (const [name, from, to] of [
      ['encode', startMs, runMs],
      ['run', runMs, decodeAt],
      ['decode', decodeAt, endedAt],
    ] as const)
      this.#tracing.record(name, { parent: this.#text, startMs: from, endMs: to, attributes });
  }

  /** Ends the run after its results were written. */
  end(finished: readonly Finished[], settleAt: number): void {
    this.#tracing.record('settle', { parent: this.#text, startMs: settleAt, endMs: sharedNow() });
    const failed = finished.filter(({ status }) => status === 'failed');
    const [first] = failed;
    const attributes = {
      'millrace.run.rows': Math.max(0, ...finished.map(({ batchSize }) => batchSize)),
      'millrace.failed': failed.length,
    };
    const type = /"code":"([a-z_]+)"/.exec(first === undefined ? '' : String(first.result))?.[1] ?? 'inference_failed';
    const isError = first !== undefined && failed.length === finished.length;
    endSpan(this.#span, { attributes, ...(isError ? { error: { type, message: 'The prediction failed.' } } : {}) });
  }

  /** Ends a run whose predictions go back to the queue. */
  fail(error: unknown): void {
    endSpan(this.#span, { error: errorOf(error) });
  }
}

interface LostParams {
  tracing: Tracing;
  live: Pick<LiveStore, 'workerLives'>;
  target: SpanTarget;
  taken: Taken;
}

/** Writes the span of an attempt whose worker died: a worker that was killed cannot write the span itself. */
export async function recordLostAttempt({ tracing, live, target, taken }: LostParams): Promise<void> {
  const trace = traceOfState(taken.state);
  const previous = previousAttemptOf(taken.state);
  if (trace === undefined || !isSampled(trace) || previous === undefined) return;
  if (previous.workerId === target.workerId || (await live.workerLives(target.shard, previous.workerId))) return;
  tracing.record(`process ${target.version.model}`, {
    kind: 'consumer',
    parent: trace,
    startMs: previous.startedAt,
    attributes: {
      ...attributesOf({ ...target, workerId: previous.workerId }),
      ...ofPrediction(taken.id),
      'millrace.attempt': previous.attempt,
    },
    error: { type: 'worker_lost', message: 'The worker ended during the attempt.' },
  });
}

const ofPrediction = (id: string) => ({
  'messaging.message.id': publicId('pred', id),
  'millrace.prediction.id': publicId('pred', id),
});

const attributesOf = ({ version: { model, version, digest }, workerId }: SpanTarget) => ({
  'messaging.system': 'millrace',
  'messaging.operation.type': 'process',
  'messaging.operation.name': 'process',
  'messaging.destination.name': model,
  'millrace.model': model,
  'millrace.version': version,
  'millrace.digest': digest,
  'millrace.worker.id': workerId,
});
