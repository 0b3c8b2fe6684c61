/** The results of a bench run, as results.json stores them. */
import { cpus, loadavg, platform, release, totalmem } from 'node:os';

export interface RivalFigures {
  rps?: number;
  p50_ms?: number;
  p99_ms?: number;
  failed?: number;
  /** Further figures of the scenario. The names include the units. */
  [figure: string]: number | undefined;
}

export interface Goal {
  goal: string;
  measured: number;
  met: boolean;
}

export interface ScenarioResult {
  name: string;
  /** Medians over the rounds. */
  rivals: Record<string, RivalFigures>;
  ratios: Record<string, number>;
  goals: Goal[];
}

export interface Results {
  machine: Record<string, string | number>;
  measured_at: string;
  seconds: number;
  rounds: number;
  driver: string;
  scenarios: ScenarioResult[];
}

export function machine(): Results['machine'] {
  const [first] = cpus();
  return {
    cpu: first?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memory_gib: round(totalmem() / 2 ** 30),
    system: `${platform()} ${release()}`,
    node: process.version,
    // A load above 0 means that other programs use the machine. Then only the ratios are reliable.
    load_before: round(loadavg()[0] ?? 0),
  };
}

export const atLeast = (name: string, measured: number, bound: number): Goal => ({
  goal: `${name} ≥ ${bound}`,
  measured: round(measured),
  met: measured >= bound,
});

export const atMost = (name: string, measured: number, bound: number): Goal => ({
  goal: `${name} ≤ ${bound}`,
  measured: round(measured),
  met: measured <= bound,
});

/** Removes the goals without a measurement, for example because a rival was not selected. */
export const judged = (goals: readonly Goal[]): Goal[] => goals.filter(({ measured }) => !Number.isNaN(measured));

/** Four significant digits. */
export function round(value: number): number {
  return Number(value.toPrecision(4));
}

/** The quotients of one figure between rivals, as `a/b`. A rival without the figure, or with 0 below, is skipped. */
export function quotients(
  rivals: Readonly<Record<string, RivalFigures>>,
  figure: string,
  pairs: readonly (readonly [string, string])[],
): Record<string, number> {
  const out: Record<string, number> = {};
  for (const [a, b] of pairs) {
    const [above, below] = [rivals[a]?.[figure], rivals[b]?.[figure]];
    if (above !== undefined && below) out[`${a}/${b}`] = round(above / below);
  }
  return out;
}
