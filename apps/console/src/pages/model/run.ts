/** Runs a model and follows the prediction until its end. */
import { call, get } from '../../core/api.ts';
import type { Prediction } from '../../core/types.ts';
import { ENDED } from '../../ui/status.ts';

/** The longest wait of one request, in seconds. */
const FOLLOW_S = 20;

export interface RunOptions {
  /** '' for the version that serves the model. */
  version: string;
  priority: string;
  /** A directive of `Cache-Control`, or ''. */
  cache: string;
  /** Seconds; '0' for a prediction that nobody waits for. */
  wait: string;
}

export const DEFAULT_OPTIONS: RunOptions = { version: '', priority: '', cache: '', wait: '30' };

export interface RunResult {
  prediction: Prediction;
  /** How the response used the cache, as `Cache-Status`. */
  cacheStatus: string;
  /** From the request to the response, in the browser. Null once the prediction was followed. */
  tookMs: number | null;
}

export const pathOf = (model: string, { version }: RunOptions): string => {
  const path = `/v1/models/${encodeURIComponent(model)}`;
  return version === '' ? `${path}/predictions` : `${path}/versions/${encodeURIComponent(version)}/predictions`;
};

export const headersOf = ({ cache, wait }: RunOptions): Record<string, string> => ({
  prefer: wait === '0' ? 'respond-async' : `wait=${wait}`,
  ...(cache === '' ? {} : { 'cache-control': cache }),
});

interface RunParams {
  model: string;
  /** The body of the request. */
  body: Record<string, unknown>;
  options: RunOptions;
  signal: AbortSignal;
  /** Called with each state of the prediction. */
  show: (result: RunResult) => void;
}

export async function runModel({ model, body, options, signal, show }: RunParams): Promise<RunResult> {
  const { priority } = options;
  const reply = await call<Prediction>(pathOf(model, options), {
    method: 'POST',
    body: { ...body, ...(priority === '' ? {} : { priority }) },
    headers: headersOf(options),
    signal,
  });
  let result: RunResult = {
    prediction: reply.body,
    cacheStatus: reply.headers.get('cache-status') ?? '',
    tookMs: reply.tookMs,
  };
  show(result);
  while (!ENDED.has(result.prediction.status)) {
    const { body: prediction } = await call<Prediction>(`/v1/predictions/${result.prediction.id}`, {
      query: { wait: FOLLOW_S },
      signal,
    });
    result = { prediction, cacheStatus: result.cacheStatus, tookMs: null };
    show(result);
  }
  return withTimeline(result, signal);
}

/** Only a read of the prediction has its timeline. */
async function withTimeline(result: RunResult, signal: AbortSignal): Promise<RunResult> {
  if (/;\s*hit/.test(result.cacheStatus)) return result;
  const { timeline, trace_id } = await get<Prediction>(`/v1/predictions/${result.prediction.id}`, {}, signal);
  return { ...result, prediction: { ...result.prediction, timeline, trace_id } };
}
