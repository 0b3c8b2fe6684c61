/** Plays one incident and judges the alerts, the log lines and the other signals. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type { Servers } from '../chaos/servers.ts';
import type { Alert } from '../support/prometheus.ts';
import { shiftedClock } from '../support/shifted-clock.ts';
import { type DrillStage, openDrillStage } from './drill-stage.ts';
import type { Incident, LogLine } from './incident.ts';
import type { ScaledRules } from './scaled-rules.ts';

export interface Played {
  name: string;
  how: string;
  alert: string;
  /** Seconds from the injection until the alert fired, or null. */
  alertS: number | null;
  /** Other alerts that fired, which the incident allows. */
  effects: string[];
  /** The most log lines of a process in a minute. */
  lines: number;
  problems: string[];
}

const CALM_S = 15;
const CALM_LIMIT_MS = 90_000;
/** A busy machine, a scrape and an evaluation. */
const SLACK_S = 25;
/** The incident lasts for this time after its alert. */
const HOLD_MS = 6_000;
const MAX_LINES = 60;
/** On a machine that holds this process for longer, stores and processes are slow without an incident. */
const HELD_MS = 250;
/** The clock of the second worker can be shifted by SIGUSR2. */
const SHIFT_MS = 600_000;

/** Collects the alerts that fire. */
class AlertWatch {
  readonly #stage: DrillStage;
  readonly #firing = new Map<string, { labels: Alert['labels']; atMs: number }>();
  readonly #delay = monitorEventLoopDelay({ resolution: 20 });

  constructor(stage: DrillStage) {
    this.#stage = stage;
    this.#delay.enable();
  }

  async look(): Promise<void> {
    for (const { labels, state } of await this.#stage.prometheus.alerts()) {
      const key = JSON.stringify(labels);
      if (state === 'firing' && !this.#firing.has(key)) this.#firing.set(key, { labels, atMs: Date.now() });
    }
  }

  /** The longest time for which the machine has held this process, which does almost nothing. */
  get heldMs(): number {
    return Math.round(this.#delay.max / 1e6);
  }

  get fired(): readonly { labels: Alert['labels']; atMs: number }[] {
    return [...this.#firing.values()];
  }

  forget(): void {
    this.#firing.clear();
  }

  close(): void {
    this.#delay.disable();
  }
}

export async function play(
  incident: Incident,
  { servers, rules }: { servers: Servers; rules: ScaledRules },
): Promise<Played> {
  const stage = await openDrillStage(servers, { rules, secondWorker: shiftedClock(SHIFT_MS, 'at-signal') });
  const watch = new AlertWatch(stage);
  const problems: string[] = [];
  try {
    await watchFor((incident.calmS ?? CALM_S) * 1_000, watch);
    const early = await untilCalm(watch);
    if (early.length > 0) problems.push(`before the incident there were alerts: ${early.join(', ')}`);
    const startedAt = Date.now();
    const heal = await incident.inject(stage);
    let alertS: number | null = null;
    try {
      const limitMs = (rules.seconds(incident.alert.name) + (incident.fixedS ?? 0) + SLACK_S) * 1_000;
      const own = await untilFired({ incident, stage, watch, limitMs });
      if (own === undefined) problems.push(`${incident.alert.name} did not fire within ${limitMs / 1_000} s`);
      else alertS = Math.round((own - startedAt) / 1_000);
      await watchFor(HOLD_MS, watch);
      problems.push(...(await missingSignals(incident, stage, startedAt)));
    } finally {
      await heal();
    }
    const { effects, strange } = judgeOthers(incident, watch);
    problems.push(...strange);
    const { process, lines } = stage.log.busiestMinute(startedAt);
    if (lines > MAX_LINES) problems.push(`${process} wrote ${lines} lines in a minute`);
    return { name: incident.name, how: incident.how, alert: incident.alert.name, alertS, effects, lines, problems };
  } finally {
    watch.close();
    await stage.close();
  }
}

const namesOf = (watch: AlertWatch): string[] => [...new Set(watch.fired.map(({ labels }) => labels.alertname ?? ''))];

/** A busy machine can raise alerts without an incident. Waits until none fires, and forgets them. Resolves to the alerts that still fire. */
async function untilCalm(watch: AlertWatch): Promise<string[]> {
  const until = performance.now() + CALM_LIMIT_MS;
  for (;;) {
    watch.forget();
    await watch.look();
    const names = namesOf(watch);
    if (names.length === 0 || performance.now() > until) return names;
    await delay(1_000);
  }
}

async function watchFor(ms: number, watch: AlertWatch): Promise<void> {
  const until = performance.now() + ms;
  while (performance.now() < until) {
    await delay(400);
    await watch.look();
  }
}

interface Awaited {
  incident: Incident;
  stage: DrillStage;
  watch: AlertWatch;
  limitMs: number;
}

/** Resolves to the moment of the own alert with its labels, or to undefined. */
async function untilFired({ incident, stage, watch, limitMs }: Awaited): Promise<number | undefined> {
  const until = performance.now() + limitMs;
  const { name, labels = {} } = incident.alert;
  const wanted = Object.entries(typeof labels === 'function' ? labels(stage) : labels);
  while (performance.now() < until) {
    await watch.look();
    const own = watch.fired.find(
      (one) => one.labels.alertname === name && wanted.every(([label, value]) => one.labels[label] === value),
    );
    if (own) return own.atMs;
    await delay(400);
  }
  return undefined;
}

function judgeOthers(incident: Incident, watch: AlertWatch) {
  const others = namesOf(watch).filter((name) => name !== incident.alert.name);
  const allowed = incident.effects ?? {};
  const effects = others.filter((name) => name in allowed);
  const strange = others
    .filter((name) => !(name in allowed))
    .map((name) => {
      const labels = watch.fired
        .filter((one) => one.labels.alertname === name)
        .map((one) => JSON.stringify(one.labels));
      return `another alert fired: ${labels.slice(0, 3).join(' ')}`;
    });
  if (strange.length > 0 && watch.heldMs > HELD_MS)
    strange.push(
      `the machine held this process for ${watch.heldMs} ms, so that the other alerts can be about the machine`,
    );
  return { effects, strange };
}

async function missingSignals(incident: Incident, stage: DrillStage, sinceMs: number): Promise<string[]> {
  const { lines = [] } = incident;
  const wanted: readonly LogLine[] = typeof lines === 'function' ? lines(stage) : lines;
  const missing = wanted
    .filter((line) => !stage.log.has(line, sinceMs))
    .map(({ process, message, fields }) => {
      const names = Object.entries(fields).map(([name, value]) => `${name} ${value}`);
      const found = stage.log.lines(process, sinceMs).filter(({ msg }) => msg.startsWith(message));
      return `the ${process} has no line '${message}' with ${names.join(', ')}, but ${JSON.stringify(found.slice(0, 2))}`;
    });
  return [...missing, ...((await incident.signals?.(stage)) ?? [])];
}
