/** A fault: how the fault is injected and healed, and which checks apply besides the ledger. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Reply } from './client.ts';
import { quick } from './models.ts';
import type { Random } from './random.ts';
import type { Servers } from './servers.ts';
import type { Stage, StageSettings } from './stage.ts';
import { untilEnded } from './verify.ts';

export interface Context {
  stage: Stage;
  servers: Servers;
  random: Random;
  /** Whether the short form runs. */
  short: boolean;
  /** Adds an observation besides the ledger to the table. */
  note(text: string): void;
  /** Records a problem when a condition does not hold, independent of the speed of the machine. */
  expect(holds: boolean, otherwise: string): void;
  /** Records a missed goal, which a busy machine can miss without a fault of Millrace. */
  goal(met: boolean, otherwise: string): void;
}

export interface Fault {
  name: string;
  /** Description of the fault in the table. */
  how: string;
  /** Not part of the short form. */
  long?: boolean;
  stage?: StageSettings | (() => Promise<StageSettings>);
  /** Injects and heals the fault. Resolves to the moment of healing (Date.now()), or to undefined without a healing. */
  run(context: Context): Promise<number | undefined>;
}

export interface Recovery {
  /** Seconds from the healing until a new request has a result. */
  resultsS: number;
  /** Seconds from the healing until all earlier promises have ended, which depends on their number. */
  endedS: number;
}

/**
 * Callers from before the healing can wait for a long time, and a fault ends only when they have their replies. So the
 * load that runs meanwhile counts as well: the first request that was sent after the healing, computed and returned.
 */
export async function recovery(stage: Stage, healedAtMs: number): Promise<Recovery> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const { status } = await stage.client.submit(quick(), { timeoutMs: 5_000, waitS: 5 });
    if (status === 200) break;
    if (Date.now() > deadline) return { resultsS: Number.POSITIVE_INFINITY, endedS: Number.POSITIVE_INFINITY };
    await delay(20);
  }
  const first = stage.client.replies.find((reply) => isComputed(reply) && reply.atMs - reply.tookMs >= healedAtMs);
  const resultsS = ((first?.atMs ?? Date.now()) - healedAtMs) / 1_000;
  await untilEnded(stage);
  return { resultsS, endedS: (Date.now() - healedAtMs) / 1_000 };
}

/** Whether a reply was computed and not cached: inputs of `quick` and `slow` never repeat. */
const isComputed = ({ status, entry }: Reply): boolean => status === 200 && entry?.request.model !== 'lookup';

/** Seconds from a moment until the first result of a request that was sent after the moment. */
export function firstResultS({ client }: Stage, sinceMs: number): string {
  const first = client.replies.find(({ status, atMs, tookMs }) => status === 200 && atMs - tookMs >= sinceMs);
  return first ? `${((first.atMs - sinceMs) / 1_000).toFixed(1)} s` : 'none';
}

/** The longest time of the replies. 0 for no replies. */
export const slowest = (replies: readonly { tookMs: number }[]): number =>
  Math.round(Math.max(0, ...replies.map(({ tookMs }) => tookMs)));

/** Judges the requests while a store did not respond: each must get 503, and as a goal within a second. */
export function judgeRefused(
  replies: readonly { status: number; tookMs: number }[],
  { note, expect, goal }: Pick<Context, 'note' | 'expect' | 'goal'>,
): void {
  const statuses = replies.map(({ status }) => status);
  note(`${replies.length} requests meanwhile, refused within ${slowest(replies)} ms`);
  expect(
    statuses.every((status) => status === 503),
    `not all got 503: ${JSON.stringify(statuses)}`,
  );
  goal(slowest(replies) <= 1_000, `a 503 took ${slowest(replies)} ms`);
}
