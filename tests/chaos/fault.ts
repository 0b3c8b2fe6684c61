/** A fault: how it is injected and healed, and what must hold besides a clean ledger. */
import { setTimeout as delay } from 'node:timers/promises';
import { quick } from './models.ts';
import type { Random } from './random.ts';
import type { Servers } from './servers.ts';
import type { openStage, Stage } from './stage.ts';
import { untilEnded } from './verify.ts';

export interface Context {
  stage: Stage;
  servers: Servers;
  random: Random;
  /** The short form. */
  short: boolean;
  /** Notes what is seen besides the ledger, for the table. */
  note(text: string): void;
  /** Records a problem when something does not hold. */
  expect(holds: boolean, otherwise: string): void;
}

export interface Fault {
  name: string;
  /** What is done, as the table says it. */
  how: string;
  /** Left out of the short form. */
  long?: boolean;
  stage?: Parameters<typeof openStage>[1];
  /** Injects, heals; resolves to the moment of healing (Date.now()), or to nothing where there is none to tell. */
  run(context: Context): Promise<number | undefined>;
}

/**
 * Seconds from the healing until a new question is answered and all that was promised has ended: recovery is not the
 * first sign of life.
 */
export async function recovery(stage: Stage, healedAtMs: number): Promise<number> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const { status } = await stage.client.ask(quick(), { timeoutMs: 5_000, waitS: 5 });
    if (status === 200) break;
    if (Date.now() > deadline) return Number.POSITIVE_INFINITY;
    await delay(20);
  }
  await untilEnded(stage);
  return (Date.now() - healedAtMs) / 1_000;
}

/** How long the slowest of some replies took; 0 for none. */
export const slowest = (replies: readonly { tookMs: number }[]): number =>
  Math.round(Math.max(0, ...replies.map(({ tookMs }) => tookMs)));
