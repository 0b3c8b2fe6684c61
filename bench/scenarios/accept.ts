/** The scenario `accept`: how many predictions a second get a 202, and whether a worker drains the backlog and keeps every promise. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Bench, Scenario } from '../bench.ts';
import { type Ledger, openLedger } from '../ledger.ts';
import { drive } from '../load/load.ts';
import { atLeast, type RivalFigures, round } from '../results.ts';
import { predictionsPath } from '../rivals/model.ts';
import { medians, usedBy } from '../rounds.ts';
import type { Rival } from '../stage.ts';
import { computed } from './queue.ts';

const connections = 256;
/** Without `Prefer: wait`: the API returns 202, and the client reads the result later. */
export const submitted = { 'cache-control': 'no-store' } as const;
const drainTimeoutMs = 300_000;

export const accept: Scenario = {
  name: 'accept',
  about: '256 clients get 202 with a committed ledger row, and every promise is kept',
  requires: ['millrace'],
  run: async (bench) => {
    const rounds: Record<string, RivalFigures[]> = {};
    const add = (name: string, figures: RivalFigures) => {
      rounds[name] ??= [];
      rounds[name].push(figures);
    };
    const rivals = await Promise.all(bench.rivals(['echo', 'millrace']).map((name) => bench.stage.start(name)));
    for (const rival of rivals) await load(bench, rival, computed, Math.min(2, bench.seconds));
    for (let n = 1; n <= bench.rounds; n++) {
      for (const rival of rivals) {
        bench.say(`round ${n} of ${bench.rounds}, ${rival.name}`);
        if (rival.name === 'echo') add('echo', await load(bench, rival, submitted, bench.seconds));
        else {
          add('millrace', await acceptAndDrain(bench, rival, n));
          bench.say(`round ${n} of ${bench.rounds}, millrace, waiting clients`);
          add('millrace (clients wait)', await load(bench, rival, computed, bench.seconds));
          await drained(rival);
        }
      }
    }
    const figures = Object.fromEntries(Object.entries(rounds).map(([name, all]) => [name, medians(all)]));
    const { echo, millrace, 'millrace (clients wait)': waited } = figures;
    const accepted = (millrace?.rps ?? Number.NaN) / (echo?.rps ?? Number.NaN);
    const drain = (millrace?.drain_rps ?? Number.NaN) / (waited?.rps ?? Number.NaN);
    return {
      name: 'accept',
      rivals: figures,
      ratios: { 'millrace/echo': round(accepted), 'drain/queue': round(drain) },
      goals: [atLeast('accepted/s ÷ echo', accepted, 0.4), atLeast('drain rate ÷ queue rate', drain, 0.8)],
    };
  },
};

async function load(
  bench: Bench,
  rival: Rival,
  headers: Record<string, string>,
  seconds: number,
): Promise<RivalFigures> {
  const { bodies } = bench.inputs;
  const url = rival.url + predictionsPath;
  const before = usedBy(rival);
  const figures = await drive(bench.driver, { url, connections, seconds, headers, bodies, dir: bench.stage.dir });
  const cpu = Object.entries(usedBy(rival)).map(([role, ms]) => {
    return [`${role}_cpu_us`, ((ms - (before[role] ?? Number.NaN)) * 1_000) / figures.requests] as const;
  });
  return {
    rps: figures.requests / figures.seconds,
    p50_ms: figures.p50Ms,
    p99_ms: figures.p99Ms,
    failed: figures.failed,
    requests: figures.requests,
    ...Object.fromEntries(cpu),
  };
}

async function acceptAndDrain(bench: Bench, rival: Rival, n: number): Promise<RivalFigures> {
  const ledger = openLedger(rival.databaseUrl ?? '');
  try {
    const before = await ledger.counts();
    const { requests = 0, ...figures } = await load(bench, rival, submitted, bench.seconds);
    await untilDrained(ledger);
    // A worker that keeps up with the load leaves no backlog to time. SIGSTOP pauses the worker while more requests are
    // accepted.
    const worker = rival.parts.find(({ role }) => role === 'worker')?.part.pid ?? Number.NaN;
    process.kill(worker, 'SIGSTOP');
    const more = await load(bench, rival, submitted, Math.min(3, bench.seconds)).finally(() => {
      process.kill(worker, 'SIGCONT');
    });
    const start = performance.now();
    const backlog = await ledger.open();
    bench.say(`round ${n} of ${bench.rounds}, millrace drains ${backlog}`);
    await untilDrained(ledger);
    const drainRps = (backlog * 1_000) / (performance.now() - start);
    await checkPromises(bench, ledger, await ledger.counts(), before.all + requests + (more.requests ?? 0));
    return { ...figures, backlog, drain_rps: drainRps };
  } finally {
    await ledger.close();
  }
}

async function checkPromises(
  { inputs }: Bench,
  ledger: Ledger,
  { all, succeeded }: { all: number; succeeded: number },
  promised: number,
): Promise<void> {
  // Requests without a received 202 at the end of the load are in the ledger too, so the ledger can have more rows than
  // the clients have responses.
  if (all < promised) throw new Error(`${promised} predictions were accepted, and the ledger has ${all}`);
  if (succeeded !== all) throw new Error(`of ${all} predictions ${succeeded} succeeded`);
  for (const text of await ledger.outputs(100)) {
    const output = JSON.parse(text) as { drug_a: string; drug_b: string };
    const fault = await inputs.fault(output, output);
    if (fault !== undefined) throw new Error(`Wrong output in the ledger: ${fault}`);
  }
}

async function drained(rival: Rival): Promise<void> {
  const ledger = openLedger(rival.databaseUrl ?? '');
  // The recorder writes the rows of waiting callers later. The loop waits until the recorder is done, so that its work
  // is not part of the next load.
  for (let last = -1, all = 0; all !== last; await delay(300)) [last, all] = [all, await ledger.rows()];
  await ledger.close();
}

export async function untilDrained(ledger: Ledger): Promise<void> {
  const deadline = performance.now() + drainTimeoutMs;
  for (let open = 1; open > 0; ) {
    open = await ledger.open();
    if (performance.now() > deadline) throw new Error(`${open} predictions are open after ${drainTimeoutMs} ms`);
    if (open > 0) await delay(50);
  }
}
