/** Stores the results of a run in the cache, with the body of a hit where a hit may show the whole prediction. */
import type { PutParams, ResultCache } from '@millrace/shared/cache/result-cache';
import { encodeResult } from '@millrace/shared/cache/result-value';
import { waitingOf } from '@millrace/shared/live/state';
import type { Finished, Taken } from '@millrace/shared/live/store';
import { mayShareResults } from '@millrace/shared/model-files/model-config';
import type { Text } from '@millrace/shared/predictions/long-text';
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
  /** The put that replaces the prediction with its output. Nearly every prediction stays, so the value is made on demand. */
  withoutBody(): PutParams;
}

/** Stores the results, and takes the predictions back whose ends the live states refused. Never rejects. */
export async function storeAndCheck(
  deps: StoreDeps,
  target: Target,
  { storing, finishing }: { storing: Storing; finishing: Promise<readonly string[]> },
): Promise<void> {
  const puts = await store(deps, target, storing);
  const verdicts = await finishing.catch(() => []);
  await withdrawBodies(deps, { puts, verdicts });
}

/** Writes successful rows to the cache. A failed write only costs a later computation. */
async function store(
  { cache, base, retentionMs }: StoreDeps,
  { version }: Target,
  { works, finished, places, now }: Storing,
): Promise<BodyPut[]> {
  // An API process with old settings can have submitted the prediction of a model that is not deterministic.
  if (!mayShareResults(version.config)) return [];
  const puts: Promise<void>[] = [];
  const bodyPuts: BodyPut[] = [];
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
      const whole = task.shape === 'one' && task.rows.length === 1 && maySee(version, taken);
      const body = whole ? bodyOf({ version, base, taken, finished: finished[n] as Finished, now }) : null;
      const params = { cacheKey: key, storedAt: now, freshUntil: now + ttlMs, output: result.output };
      const place = { cacheKey: key, epoch: task.epoch, ttlMs };
      puts.push(cache.put({ ...place, value: encodeResult({ ...params, body }) }));
      if (body === null) continue;
      bodyPuts.push({ n, withoutBody: () => ({ ...place, value: encodeResult({ ...params, body: null }) }) });
    }
  }
  await Promise.all(puts);
  return bodyPuts;
}

/** Whether callers who share the result may see the whole prediction, and not the output alone. */
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
  await Promise.all(refused.map(({ withoutBody }) => cache.put(withoutBody())));
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
 * belong to its caller, and for a prediction that was canceled before it was taken.
 */
function bodyOf({ version, base, taken, finished, now }: BodyParams): Text | null {
  const waiting = waitingOf(taken.state);
  if (waiting === undefined || waiting.metadata !== '') return null;
  const options = readOptions(waiting.options);
  if (options.webhook) return null;
  // The deadline has passed: the prediction expires.
  if (waiting.expiresAt !== null && waiting.expiresAt <= now) return null;
  return renderPrediction(
    {
      id: taken.id,
      model: version.model,
      version: version.version,
      digest: waiting.digest,
      priority: priorityOf(waiting.priority),
      webhook: null,
      ...factsOf(options),
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
