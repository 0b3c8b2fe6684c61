/** Checks of work that a process cannot do although its stores respond. Each throws a sentence that names the work and its cause. */
import { STALE_MS } from '@millrace/shared/queue/worker-list';

/** The most models that a sentence names. */
const NAMED_MAX = 5;

/** `share`: used share of the memory of the queue Redis. `percent`: MAX_MEMORY_SHARE. */
export function checkAdmission(share: number, percent: number): void {
  if (share * 100 < percent) return;
  throw new Error(
    `New predictions are refused: the memory of the queue Redis is ${Math.round(share * 100)} % full, and MAX_MEMORY_SHARE allows ${percent} %.`,
  );
}

/** `fault`: the message of the last commit of promises, if the commit failed. */
export function checkPromises(fault: string | undefined): void {
  if (fault !== undefined) throw new Error(`Promises are refused: the last commit of promises failed (${fault}).`);
}

export function checkLag(lagMs: number, allowedMs: number): void {
  if (lagMs <= allowedMs) return;
  const [seconds, allowed] = [Math.round(lagMs / 1_000), allowedMs / 1_000];
  throw new Error(
    `The oldest end has waited ${seconds} s for the ledger, and RECORDER_LAG_MS allows ${allowed} s. Expected a running worker with the role recorder.`,
  );
}

interface Queue {
  waiting: number;
  oldestS: ReadonlyMap<string, number>;
}

interface ListedWorker {
  ageMs: number;
  draining: boolean;
  models: readonly { name: string }[];
}

/** A new prediction may wait this long for a worker that has not reported its models yet. */
const PATIENCE_S = STALE_MS / 1_000;

/** Predictions wait for a model that no running worker serves. A model without waiting predictions needs no worker. */
export async function checkWorkers(
  queues: ReadonlyMap<string, Queue>,
  workers: () => Promise<readonly ListedWorker[]>,
): Promise<void> {
  const late = [...queues].filter(
    ([, { waiting, oldestS }]) => waiting > 0 && Math.max(0, ...oldestS.values()) > PATIENCE_S,
  );
  if (late.length === 0) return;
  const running = (await workers()).filter(({ ageMs, draining }) => ageMs < STALE_MS && !draining);
  const served = new Set(running.flatMap(({ models }) => models.map(({ name }) => name)));
  const unserved = late.map(([model]) => model).filter((model) => !served.has(model));
  if (unserved.length === 0) return;
  const names = unserved.slice(0, NAMED_MAX).map((name) => `'${name}'`);
  const more = unserved.length > NAMED_MAX ? ` and ${unserved.length - NAMED_MAX} more` : '';
  throw new Error(`Predictions wait for ${names.join(', ')}${more}, and no running worker serves the model.`);
}
