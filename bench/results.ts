/** What a run of the bench found, as it stands in results.json. */
import { cpus, loadavg, platform, release, totalmem } from 'node:os';

export interface RivalFigures {
  rps?: number;
  p50_ms?: number;
  p99_ms?: number;
  failed?: number;
  /** Further figures of the scenario; units are in their names. */
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
    // Above 0, others use the machine too: then trust the ratios alone.
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

/** Without the goals that nothing was measured for, as when a rival was left out. */
export const judged = (goals: readonly Goal[]): Goal[] => goals.filter(({ measured }) => !Number.isNaN(measured));

/** Four significant digits. */
export function round(value: number): number {
  return Number(value.toPrecision(4));
}

/** The quotients of one figure between rivals, as `a/b`; one that a rival lacks is left out. */
export function quotients(
  rivals: Readonly<Record<string, RivalFigures>>,
  figure: string,
  pairs: readonly (readonly [string, string])[],
): Record<string, number> {
  const out: Record<string, number> = {};
  for (const [a, b] of pairs) {
    const [above, below] = [rivals[a]?.[figure], rivals[b]?.[figure]];
    if (above !== undefined && below !== undefined) out[`${a}/${b}`] = round(above / below);
  }
  return out;
}
