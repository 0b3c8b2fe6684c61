/** Stores the results of a run in the cache, with the body of a hit where a hit may show the whole prediction. */
import { encodeNamed, NAMED_OUTPUT_BYTES, outputChecksum } from '@millrace/shared/cache/named-result';
import type { PutParams, ResultCache } from '@millrace/shared/cache/result-cache';
import { type EncodeParams, encodeResult } from '@millrace/shared/cache/result-value';
import { waitingOf } from '@millrace/shared/live/state';
import type { Finished, Taken } from '@millrace/shared/live/store';
import { mayShareResults } from '@millrace/shared/model-files/model-config';
import { piecesOf, type Text, textBytes } from '@millrace/shared/predictions/long-text';
import { renderPrediction } from '@millrace/shared/predictions/prediction';
import { priorityOf } from '@millrace/shared/predictions/prediction-state';
import { factsOf, readOptions } from '@millrace/shared/predictions/request-options';
import type { ModelVersion } from '@millrace/shared/registry/registry-types';
import { DEFAULT_TENANT } from '@millrace/shared/tenants/default-tenant';
import type { Target, Work } from './work.ts';

export interface StoreDeps {
  cache: ResultCache;
  /** The public URL without a final slash, or ''; the prefix of links in stored predictions. */
  base: string;
  /** How long the ledger has a prediction at least. */
  retentionMs: number;
}

interface Storing {
  works: readonly Work[];
  finished: readonly Finished[];
  places: ReadonlyMap<string, number>;
  now: number;
}

/** A stored prediction. */
interface BodyPut {
  /** The index of the prediction. */
  n: number;
  /** The parts of the put that replaces the prediction with its output. Nearly every prediction stays, so the value is made on demand. */
  place: Omit<PutParams, 'value'>;
  params: EncodeParams;
}

/** A long output whose cached value names the prediction. Until Redis has the end, there is nothing to name. */
interface NamedPut {
  /** The index of the prediction. */
  n: number;
  prediction: string;
  place: Omit<PutParams, 'value'>;
  params: Omit<EncodeParams, 'body'> & { output: Text };
  isShown: boolean;
}

interface Puts {
  bodies: BodyPut[];
  named: NamedPut[];
}

/** Stores the results, and takes the predictions back whose ends the live states refused. Never rejects. */
export async function storeAndCheck(
  deps: StoreDeps,
  target: Target,
  { storing, finishing }: { storing: Storing; finishing: Promise<readonly string[]> },
): Promise<void> {
  const { bodies, named } = await store(deps, target, storing);
  const verdicts = await finishing.catch(() => []);
  await Promise.all([
    withdrawBodies(deps, { puts: bodies, verdicts }),
    ...named.map((put) => storeNamed(deps, put, verdicts[put.n] === 'written')),
  ]);
}

/** Writes successful rows to the cache. A failed write only costs a later computation. */
async function store(
  { cache, base, retentionMs }: StoreDeps,
  { version }: Target,
  { works, finished, places, now }: Storing,
): Promise<Puts> {
  const bodies: BodyPut[] = [];
  const named: NamedPut[] = [];
  // An API process with old settings can have submitted the prediction of a model that is not deterministic.
  if (!mayShareResults(version.config)) return { bodies, named };
  const puts: PutParams[] = [];
  const stored = new Set<string>();
  for (let n = 0; n < works.length; n += 1) {
    const { taken, task, names, results } = works[n] as Work;
    for (let at = 0; at < task.keys.length; at += 1) {
      const key = task.keys[at] ?? null;
      const result = results[at];
      if (key === null || !result?.ok || stored.has(key) || !places.has(names[at] ?? '')) continue;
      stored.add(key);
      // The lifetime varies by up to a tenth, so that results that were stored together do not expire together.
      // The ledger has the prediction of a hit for at least as long as the cache.
      const keptMs = Math.max(1, taken.createdAt + retentionMs - now);
      const ttlMs = Math.min(version.config.cache.ttlS * 1000 * (0.9 + 0.1 * Math.random()), keptMs);
      const end = finished[n] as Finished;
      const whole = task.shape === 'one' && task.rows.length === 1 && maySee(version, taken);
      const body = whole ? bodyOf({ version, base, taken, finished: end, now }) : null;
      const { output } = result;
      const params = { cacheKey: key, storedAt: now, freshUntil: now + ttlMs, output, body };
      const { epoch } = task;
      const place = { cacheKey: key, epoch, ttlMs };
      // The end of a prediction with one row has the output of the row.
      if (end.result === result.output && textBytes(result.output) >= NAMED_OUTPUT_BYTES) {
        named.push({ n, prediction: taken.id, place, params, isShown: body !== null });
        continue;
      }
      puts.push({ cacheKey: key, epoch, ttlMs, value: encodeResult(params) });
      if (body !== null) bodies.push({ n, place, params });
    }
  }
  await cache.putMany(puts);
  return { bodies, named };
}

/** Stores the name of the prediction, or the output where no prediction has the output: its end was refused. */
async function storeNamed({ cache }: StoreDeps, put: NamedPut, hasEnded: boolean): Promise<void> {
  const { prediction, place, params, isShown } = put;
  if (!hasEnded) return cache.put({ ...place, value: encodeResult({ ...params, body: null }) });
  const { storedAt, freshUntil } = params;
  const pieces = piecesOf(params.output);
  const checksum = await outputChecksum({ pieces });
  const named = { prediction, storedAt, freshUntil, bytes: textBytes(params.output), checksum, isShown };
  await cache.put({ ...place, value: encodeNamed(params.cacheKey, named) });
}

/** Whether the callers that share the result may see the whole prediction, and not the output alone. */
const maySee = ({ config }: ModelVersion, { tenant }: Taken): boolean =>
  config.cache.scope !== 'public' || tenant === DEFAULT_TENANT;

/**
 * Takes the predictions back whose ends Redis refused, because the predictions were canceled or another attempt runs: a hit must
 * not show an end that a GET of the same id does not show. The outputs stay in the cache.
 */
async function withdrawBodies(
  { cache }: StoreDeps,
  { puts, verdicts }: { puts: readonly BodyPut[]; verdicts: readonly string[] },
): Promise<void> {
  const refused = puts.filter(({ n }) => verdicts[n] !== 'written');
  await Promise.all(
    refused.map(({ place, params }) => cache.put({ ...place, value: encodeResult({ ...params, body: null }) })),
  );
}

interface BodyParams {
  version: ModelVersion;
  base: string;
  taken: Taken;
  finished: Finished;
  now: number;
}

/**
 * The body of a cache hit: the JSON that a GET of the prediction returns. Null for a prediction with metadata or a webhook, which
 * belong to its caller, and for a prediction that was canceled before a worker took the prediction.
 */
function bodyOf({ version, base, taken, finished, now }: BodyParams): Text | null {
  const waiting = waitingOf(taken.state);
  if (waiting === undefined || waiting.metadata !== '') return null;
  const options = readOptions(waiting.options);
  if (options.webhook) return null;
  // The deadline has passed: the prediction expires.
  if (waiting.expiresAt !== null && waiting.expiresAt <= now) return null;
  // No spread, which costs more than the rest of the object.
  const { rows, list, cache } = factsOf(options);
  return renderPrediction(
    {
      id: taken.id,
      model: version.model,
      version: version.version,
      digest: waiting.digest,
      priority: priorityOf(waiting.priority),
      webhook: null,
      rows,
      list,
      cache,
      status: 'succeeded',
      result: finished.result,
      createdAt: taken.createdAt,
      startedAt: finished.startedAt,
      completedAt: now,
      expiresAt: waiting.expiresAt,
      attempts: taken.attempt,
      metadata: '',
      inferenceMs: finished.inferenceMs,
      batchSize: finished.batchSize,
    },
    base,
  );
}
