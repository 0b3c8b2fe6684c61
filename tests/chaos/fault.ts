/** A fault: how it is injected and healed, and what must hold besides a clean ledger. */
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
  /** The short form. */
  short: boolean;
  /** Notes what is seen besides the ledger, for the table. */
  note(text: string): void;
  /** Records a problem when something does not hold, however slow the machine is. */
  expect(holds: boolean, otherwise: string): void;
  /** Records a goal that was missed: what a machine with too much else to do may miss without any fault of Millrace. */
  goal(met: boolean, otherwise: string): void;
}

export interface Fault {
  name: string;
  /** What is done, as the table says it. */
  how: string;
  /** Left out of the short form. */
  long?: boolean;
  stage?: StageSettings | (() => Promise<StageSettings>);
  /** Injects, heals; resolves to the moment of healing (Date.now()), or to nothing where there is none to tell. */
  run(context: Context): Promise<number | undefined>;
}

export interface Recovery {
  /** Seconds from the healing until a new question is answered. */
  answersS: number;
  /** Seconds from the healing until all that was promised before has ended: this depends on how much that was. */
  endedS: number;
}

/**
 * Callers of before the healing may wait for long after it, and a fault ends when they have their replies. So the load that
 * went on meanwhile counts as well: its first question that was asked after the healing, computed and answered.
 */
export async function recovery(stage: Stage, healedAtMs: number): Promise<Recovery> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const { status } = await stage.client.ask(quick(), { timeoutMs: 5_000, waitS: 5 });
    if (status === 200) break;
    if (Date.now() > deadline) return { answersS: Number.POSITIVE_INFINITY, endedS: Number.POSITIVE_INFINITY };
    await delay(20);
  }
  const first = stage.client.replies.find((reply) => isComputed(reply) && reply.atMs - reply.tookMs >= healedAtMs);
  const answersS = ((first?.atMs ?? Date.now()) - healedAtMs) / 1_000;
  await untilEnded(stage);
  return { answersS, endedS: (Date.now() - healedAtMs) / 1_000 };
}

/** Whether a reply is an answer that no cache had: questions to `quick` and `slow` are never asked twice. */
const isComputed = ({ status, entry }: Reply): boolean => status === 200 && entry?.question.model !== 'lookup';

/** Seconds from a moment until the first answer that came after it. */
export function firstAnswerS({ client }: Stage, sinceMs: number): string {
  const first = client.replies.find(({ status, atMs, tookMs }) => status === 200 && atMs - tookMs >= sinceMs);
  return first ? `${((first.atMs - sinceMs) / 1_000).toFixed(1)} s` : 'none';
}

/** How long the slowest of some replies took; 0 for none. */
export const slowest = (replies: readonly { tookMs: number }[]): number =>
  Math.round(Math.max(0, ...replies.map(({ tookMs }) => tookMs)));

/** What must hold of those who asked while a store was silent: a 503 for each, and as a goal within a second. */
export function judgeRefused(
  replies: readonly { status: number; tookMs: number }[],
  { note, expect, goal }: Pick<Context, 'note' | 'expect' | 'goal'>,
): void {
  const statuses = replies.map(({ status }) => status);
  note(`${replies.length} asked meanwhile, refused within ${slowest(replies)} ms`);
  expect(
    statuses.every((status) => status === 503),
    `not all got 503: ${JSON.stringify(statuses)}`,
  );
  goal(slowest(replies) <= 1_000, `a 503 took ${slowest(replies)} ms`);
}
