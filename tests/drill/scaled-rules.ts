/** The alerts of deploy/prometheus with all durations divided, so that a drill of minutes takes seconds. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';

const RULES = path.resolve(import.meta.dirname, '../../deploy/prometheus/rules.yaml');
/** A drill has no yesterday: an alert compares with at most this time ago, before the division. */
const MAX_OFFSET_S = 750;
const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };
const DURATION = /(\[|offset )(\d+)([smhd])/g;

interface Rule {
  alert: string;
  expr: string;
  for?: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
}

export interface ScaledRules {
  file: { groups: { name: string; rules: Rule[] }[] };
  /** Seconds of the drill from a cause until its alert fires: the longest range of the expression, and the `for`. */
  seconds(alert: string): number;
  names: readonly string[];
}

export function scaleRules(scale: number): ScaledRules {
  const file = parse(readFileSync(RULES, 'utf8')) as ScaledRules['file'];
  const rules = file.groups.flatMap((group) => group.rules);
  const times = new Map<string, number>();
  for (const rule of rules) {
    let range = 0;
    rule.expr = rule.expr.replaceAll(DURATION, (_, before: string, count: string, unit: string) => {
      const given = Number(count) * (UNITS[unit] ?? 1);
      const seconds = (before === '[' ? given : Math.min(given, MAX_OFFSET_S)) / scale;
      // Two scrapes are the least for a rate.
      const used = Math.max(before === '[' ? 4 : 1, Math.round(seconds));
      if (before === '[' && !rule.alert.startsWith('MillraceErrorBudget')) range = Math.max(range, used);
      return `${before}${used}s`;
    });
    const wait = Math.round(secondsOf(rule.for ?? '0s') / scale);
    if (rule.for !== undefined) rule.for = `${wait}s`;
    times.set(rule.alert, range + wait);
  }
  return {
    file,
    names: rules.map(({ alert }) => alert),
    seconds: (alert) => {
      const seconds = times.get(alert);
      if (seconds === undefined) throw new Error(`deploy/prometheus/rules.yaml has no alert ${alert}`);
      return seconds;
    },
  };
}

function secondsOf(duration: string): number {
  const [, count, unit = 's'] = /^(\d+)([smhd])$/.exec(duration) ?? [];
  return Number(count) * (UNITS[unit] ?? Number.NaN);
}
