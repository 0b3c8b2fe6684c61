/** Runs the rivals in turn, A B C A B C, so that other activity of the machine affects all rivals alike. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Bench } from './bench.ts';
import { drive, type LoadFigures } from './load/load.ts';
import { eventLoopDelays } from './metrics.ts';
import { cpuMs } from './processes.ts';
import { type RivalFigures, round } from './results.ts';
import { predictionsPath } from './rivals/model.ts';
import { startSampling } from './sample.ts';
import type { Rival } from './stage.ts';
import { median } from './statistics.ts';

export interface RoundLoad {
  connections: number;
  headers: Readonly<Record<string, string>>;
  /** The number of pairs in the load. */
  among: number;
  /** Samples beside the load, or after the load where a second client would change the measurement. */
  sample: 'beside' | 'after' | 'none';
}

type Figures = Record<string, number | undefined>;

/** Each rival's medians over `bench.rounds` rounds of one load. */
export async function runRounds(
  bench: Bench,
  rivals: readonly Rival[],
  load: RoundLoad,
): Promise<Record<string, RivalFigures>> {
  const rounds = new Map<Rival, Figures[]>(rivals.map((rival) => [rival, []]));
  for (const rival of rivals) {
    bench.say(`${rival.name} warms up`);
    await loadOnce(bench, rival, load, Math.min(2, bench.seconds));
  }
  for (let n = 1; n <= bench.rounds; n++) {
    for (const rival of rivals) {
      bench.say(`round ${n} of ${bench.rounds}, ${rival.name}`);
      rounds.get(rival)?.push(await measure(bench, rival, load));
    }
  }
  return Object.fromEntries([...rounds].map(([rival, figures]) => [rival.name, medians(figures)]));
}

async function measure(bench: Bench, rival: Rival, load: RoundLoad): Promise<Figures> {
  // Work that the previous round left behind (a rewrite of Redis's file, a garbage collection) must not count in this
  // round.
  await delay(250);
  await eventLoopDelays(rival);
  const before = usedBy(rival);
  const sampling = load.sample === 'beside' ? sampler(bench, rival, load) : undefined;
  const figures = await loadOnce(bench, rival, load, bench.seconds);
  const after = usedBy(rival);
  const delays = await eventLoopDelays(rival);
  const late = load.sample === 'after' ? sampler(bench, rival, load) : undefined;
  if (late) await delay(500);
  await (sampling ?? late)?.end();
  const cpu = Object.keys(after).map((role) => {
    const ms = (after[role] ?? Number.NaN) - (before[role] ?? Number.NaN);
    return [`${role}_cpu_us`, (ms * 1_000) / figures.requests] as const;
  });
  return {
    rps: figures.requests / figures.seconds,
    p50_ms: figures.p50Ms,
    p99_ms: figures.p99Ms,
    failed: figures.failed,
    ...Object.fromEntries(cpu),
    ...delays,
  };
}

function sampler({ inputs }: Bench, rival: Rival, { headers, among }: RoundLoad) {
  const url = rival.url + predictionsPath;
  return startSampling({ url, headers, inputs, among, echo: rival.name === 'echo', everyMs: 50 });
}

function loadOnce(bench: Bench, rival: Rival, load: RoundLoad, seconds: number): Promise<LoadFigures> {
  const { connections, headers, among } = load;
  const bodies = bench.inputs.bodies.slice(0, among);
  return drive(bench.driver, {
    url: rival.url + predictionsPath,
    connections,
    seconds,
    headers,
    bodies,
    dir: bench.stage.dir,
  });
}

/** Processor time by role, in milliseconds. */
export function usedBy(rival: Rival): Record<string, number> {
  return Object.fromEntries(
    rival.parts.flatMap(({ role, part }) => {
      const ms = cpuMs(part.pid);
      return ms === undefined ? [] : [[role, ms]];
    }),
  );
}

export function medians(rounds: readonly Figures[]): RivalFigures {
  const names = new Set(rounds.flatMap((figures) => Object.keys(figures)));
  return Object.fromEntries(
    [...names].map((name) => [name, round(median(rounds.flatMap((figures) => figures[name] ?? [])))]),
  );
}
