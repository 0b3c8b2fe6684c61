/** Follows an accepted prediction to its end, over lost connections and restarts of the server. */
import { ConnectionError } from './errors.ts';
import { pathOf, predictionIn } from './responses.ts';
import { backoffMs, pause } from './timing.ts';
import { delayBefore, type Transport } from './transport.ts';
import type { CallOptions, Prediction } from './types.ts';

/** The server of a call. */
export interface Connection {
  transport: Transport;
  /** The longest time in milliseconds without any response of the server. */
  maxOutageMs: number;
}

interface Follow extends CallOptions {
  id: string;
}

const POLL_S = 20;
/** The number of streams without an event after which the client polls only. */
const USELESS_STREAMS = 2;

const ENDED: ReadonlySet<string> = new Set(['succeeded', 'failed', 'canceled', 'expired']);

/** An unknown status of a later server is terminal if the prediction has the time of its end. */
export const isEnded = ({ status, completed_at }: Prediction): boolean => ENDED.has(status) || completed_at !== null;

/**
 * Returns each state of the prediction, from the present state to the terminal state. Prefers the stream of events, and polls where
 * no stream arrives.
 */
export async function* follow({ transport, maxOutageMs }: Connection, options: Follow): AsyncGenerator<Prediction> {
  const { signal } = options;
  const state: FollowState = { lastEventId: undefined, useless: 0 };
  let reachedAt = Date.now();
  for (let failures = 0; ; ) {
    try {
      const states = state.useless < USELESS_STREAMS ? streamed(transport, options, state) : polled(transport, options);
      for await (const prediction of states) {
        [failures, reachedAt] = [0, Date.now()];
        yield prediction;
        if (isEnded(prediction)) return;
      }
      // A server that stops ends its streams: another process has the prediction.
      await pause(backoffMs(1) / 2, signal);
    } catch (error) {
      failures += 1;
      const wait = delayBefore(failures, error);
      if (wait === undefined || Date.now() + wait - reachedAt > maxOutageMs) throw error;
      await pause(wait, signal);
    }
  }
}

interface FollowState {
  lastEventId: string | undefined;
  /** The number of streams in a row without an event, although the server responds. */
  useless: number;
}

async function* streamed(transport: Transport, options: Follow, state: FollowState): AsyncGenerator<Prediction> {
  const { id, signal, headers } = options;
  const path = pathOf(id, '/events');
  let hasEvents = false;
  try {
    const call = {
      method: 'GET',
      path,
      headers: { ...headers, 'last-event-id': state.lastEventId },
      signal,
      predictionId: id,
    } as const;
    for await (const event of transport.events(call)) {
      const prediction = predictionIn(JSON.parse(event.data), { predictionId: id });
      hasEvents = true;
      [state.lastEventId, state.useless] = [event.id, 0];
      yield prediction;
    }
  } catch (error) {
    if (hasEvents || !(error instanceof ConnectionError)) throw error;
  }
  if (hasEvents) return;
  // No stream arrives: the present state decides. The attempt counts only if the server responds.
  yield* polled(transport, options);
  state.useless += 1;
}

async function* polled(transport: Transport, { id, signal, headers }: Follow): AsyncGenerator<Prediction> {
  const path = pathOf(id, `?wait=${POLL_S}`);
  const limits = { holdMs: POLL_S * 1_000, maxRetries: 0 };
  const { body } = await transport.send({ method: 'GET', path, headers, signal, predictionId: id, ...limits });
  yield predictionIn(body, { predictionId: id });
}
