/** Runs the loads in turn, A B C A B C, so that other activity of the machine affects all loads alike. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Bench } from './bench.ts';
import { drive, type LoadFigures } from './load/load.ts';
import { eventLoopDelays } from './metrics.ts';
import { busiestMs, cpuByProcess, cpuMs, ownCpuMs } from './processes.ts';
import type { Requests } from './requests.ts';
import { type RivalFigures, round } from './results.ts';
import { startSampling } from './sample.ts';
import type { Rival } from './stage.ts';
import { median } from './statistics.ts';

export interface RoundLoad {
  connections: number;
  requests: Requests;
  /** Samples beside the load, or after the load where a second client would change the measurement. */
  sample: 'beside' | 'after' | 'none';
}

/** A load on a rival, under the name that the figures get. */
export interface NamedLoad extends RoundLoad {
  label: string;
  rival: Rival;
}

type Figures = Record<string, number | undefined>;
type LoadBench = Pick<Bench, 'seconds' | 'rounds' | 'driver' | 'stage' | 'say'>;

/** Each rival's medians over `bench.rounds` rounds of one load. */
export function runRounds(
  bench: LoadBench,
  rivals: readonly Rival[],
  load: RoundLoad,
): Promise<Record<string, RivalFigures>> {
  return runLoads(
    bench,
    rivals.map((rival) => ({ ...load, label: rival.name, rival })),
  );
}

/** Each load's medians over `bench.rounds` rounds. */
export async function runLoads(bench: LoadBench, loads: readonly NamedLoad[]): Promise<Record<string, RivalFigures>> {
  const rounds = new Map<NamedLoad, Figures[]>(loads.map((load) => [load, []]));
  for (const load of loads) {
    bench.say(`${load.label} warms up`);
    await loadOnce(bench, load, Math.min(2, bench.seconds));
  }
  for (let n = 1; n <= bench.rounds; n++) {
    for (const load of loads) {
      bench.say(`round ${n} of ${bench.rounds}, ${load.label}`);
      rounds.get(load)?.push(await measure(bench, load));
    }
  }
  return Object.fromEntries([...rounds].map(([{ label }, figures]) => [label, medians(figures)]));
}

async function measure(bench: LoadBench, load: NamedLoad): Promise<Figures> {
  const { rival } = load;
  // Work that the previous round left behind (a rewrite of Redis's file, a garbage collection) must not count in this
  // round.
  await delay(250);
  await eventLoopDelays(rival);
  const [before, each] = [usedBy(rival), usedByEach(rival)];
  const sampling = load.sample === 'beside' ? sampler(load) : undefined;
  const figures = await loadOnce(bench, load, bench.seconds);
  const after = usedBy(rival);
  const busiest = busiestMs(each, usedByEach(rival));
  const delays = await eventLoopDelays(rival);
  const late = load.sample === 'after' ? sampler(load) : undefined;
  if (late) await delay(500);
  await (sampling ?? late)?.end();
  // A load that ended before its first response has no processor time of a request.
  const cpu = (figures.requests > 0 ? Object.keys(after) : []).map((role) => {
    const ms = (after[role] ?? Number.NaN) - (before[role] ?? 0);
    return [role, (ms * 1_000) / figures.requests] as const;
  });
  return {
    rps: figures.requests / figures.seconds,
    p50_ms: figures.p50Ms,
    p99_ms: figures.p99Ms,
    failed: figures.failed,
    ...(cpu.length > 0 ? { cpu_us: cpu.reduce((sum, [, us]) => sum + us, 0) } : {}),
    ...Object.fromEntries(cpu.map(([role, us]) => [`${role}_cpu_us`, us])),
    // With enough cores, this process limits the rate.
    ...(cpu.length > 0 ? { busiest_cpu_us: (busiest * 1_000) / figures.requests } : {}),
    ...delays,
  };
}

function sampler({ rival, requests }: NamedLoad) {
  return startSampling({ url: rival.url, requests, echo: rival.name === 'echo', everyMs: 50 });
}

function loadOnce(
  bench: LoadBench,
  { rival, requests, connections }: NamedLoad,
  seconds: number,
): Promise<LoadFigures> {
  const { path, headers, bodies, fresh } = requests;
  return drive(bench.driver, {
    url: rival.url + path,
    connections,
    seconds,
    headers,
    bodies,
    fresh,
    dir: bench.stage.dir,
  });
}

/** Processor time by process, in milliseconds. The engines of a worker count as `engine`. */
export function usedBy(rival: Rival): Record<string, number> {
  const used: Record<string, number> = {};
  const add = (role: string, ms: number) => {
    used[role] = (used[role] ?? 0) + ms;
  };
  for (const { role, part } of rival.parts) {
    const [all, own] = [cpuMs(part.pid), ownCpuMs(part.pid)];
    if (all === undefined || own === undefined) continue;
    // Only Millrace has metrics and engines.
    if (role === 'worker' && rival.metrics) {
      add('worker', own);
      add('engine', Math.max(0, all - own));
    } else add(role, all);
  }
  return used;
}

const usedByEach = ({ parts }: Rival): Map<number, number> => cpuByProcess(parts.map(({ part }) => part.pid));

export function medians(rounds: readonly Figures[]): RivalFigures {
  const names = new Set(rounds.flatMap((figures) => Object.keys(figures)));
  return Object.fromEntries(
    [...names].map((name) => [name, round(median(rounds.flatMap((figures) => figures[name] ?? [])))]),
  );
}
