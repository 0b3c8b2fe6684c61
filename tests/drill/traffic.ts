/** The normal traffic of a drill: three tenants, mostly repeated inputs, some promises with webhooks. */
import { setTimeout as delay } from 'node:timers/promises';
import { nextNumber, quick, slow, type TestRequest } from '../chaos/models.ts';

export const TENANTS = ['north', 'south', 'west'] as const;
export type Tenant = (typeof TENANTS)[number];

export interface Sent {
  status: number;
  /** The id of the prediction, or ''. */
  id: string;
  code: string;
}

export interface SendOptions {
  tenant?: Tenant;
  /** Default: the caller waits. */
  wait?: boolean;
  body?: Readonly<Record<string, unknown>>;
  signal?: AbortSignal;
}

export type Send = (request: Pick<TestRequest, 'model' | 'input'>, options?: SendOptions) => Promise<Sent>;

/** The parts of the traffic that an incident changes. */
export interface Shape {
  /** Milliseconds of an engine for a computed request. */
  runMs: number;
  /** Whether hits become misses, because their inputs change a little. */
  jitter: boolean;
}

export interface Traffic {
  readonly shape: Shape;
  stop(): Promise<void>;
}

const PERIOD_MS = 80;
const HIT_SHARE = 0.6;
const REPEATED = 20;
const PROMISED_SHARE = 0.3;
/** A caller gives up after this time. */
const PATIENCE_MS = 10_000;
const RUN_MS = 4;

const repeated = Array.from({ length: REPEATED }, () => quick());

export function startTraffic(send: Send): Traffic {
  const shape: Shape = { runMs: RUN_MS, jitter: false };
  const open = new Set<Promise<unknown>>();
  const stopping = new AbortController();
  let turn = 0;

  function next(): void {
    turn += 1;
    const tenant = TENANTS[turn % TENANTS.length] as Tenant;
    const isRepeated = (turn * 0.618) % 1 < HIT_SHARE;
    const one = repeated[turn % REPEATED] as TestRequest;
    const request = isRepeated ? (shape.jitter ? quick(nextNumber()) : one) : slow(shape.runMs);
    const wait = isRepeated || (turn * 0.414) % 1 > PROMISED_SHARE;
    const sent = send(request, { tenant, wait, signal: AbortSignal.timeout(PATIENCE_MS) });
    open.add(sent);
    void sent.finally(() => open.delete(sent));
  }

  const running = (async () => {
    while (!stopping.signal.aborted) {
      next();
      await delay(PERIOD_MS);
    }
  })();
  return {
    shape,
    async stop() {
      stopping.abort();
      await running;
      await Promise.all(open);
    },
  };
}

/** Repeats `work` with a pause until the returned function is called, which resolves when the last call has ended. */
export function repeat(pauseMs: number, work: () => Promise<unknown>): () => Promise<void> {
  let stopped = false;
  const running = (async () => {
    while (!stopped) {
      await work();
      await delay(pauseMs);
    }
  })();
  return async () => {
    stopped = true;
    await running;
  };
}
