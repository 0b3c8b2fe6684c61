/**
 * Writes metrics as text: in the format of Prometheus, or as OpenMetrics 1.0 with exemplars. prom-client changes the names of its
 * counters when it writes OpenMetrics, so one registry of prom-client cannot serve both formats.
 */
import type { Registry } from 'prom-client';

export const PROMETHEUS = 'text/plain; version=0.0.4; charset=utf-8';
export const OPEN_METRICS = 'application/openmetrics-text; version=1.0.0; charset=utf-8';

interface Sample {
  metricName?: string;
  labels: Readonly<Record<string, string | number>>;
  value: number;
  exemplar?: { labelSet?: Readonly<Record<string, string>>; value: number; timestamp: number };
}

interface Family {
  name: string;
  help: string;
  type: string;
  values: readonly Sample[];
}

/** Whether the `Accept` of a scrape demands OpenMetrics. Prometheus names the format when its scrape of exemplars is on. */
export const wantsOpenMetrics = (accept = ''): boolean => accept.includes('application/openmetrics-text');

export async function writeMetrics(registry: Registry<never> | Registry, open: boolean): Promise<string> {
  const families = (await registry.getMetricsAsJSON()) as unknown as Family[];
  const texts = families.map((family) => writeFamily(family, open));
  return open ? `${texts.join('')}# EOF\n` : texts.join('\n');
}

function writeFamily({ name, help, type, values }: Family, open: boolean): string {
  // In OpenMetrics the name of a counter's family has no suffix, but the names of its samples have a suffix.
  const family = open && type === 'counter' ? name.replace(/_total$/, '') : name;
  const lines = [`# HELP ${family} ${escaped(help)}`, `# TYPE ${family} ${type}`];
  for (const { metricName = name, labels, value, exemplar } of values) {
    const sample = open && type === 'counter' ? `${family}_total` : metricName;
    lines.push(`${sample}${labelsOf(labels)} ${numberOf(value)}${open ? exemplarOf(exemplar) : ''}`);
  }
  return `${lines.join('\n')}\n`;
}

function exemplarOf(exemplar: Sample['exemplar']): string {
  if (exemplar?.labelSet === undefined) return '';
  return ` # ${labelsOf(exemplar.labelSet)} ${numberOf(exemplar.value)} ${exemplar.timestamp}`;
}

function labelsOf(labels: Readonly<Record<string, string | number>>): string {
  const parts = Object.entries(labels).map(
    ([name, value]) => `${name}="${escaped(String(value)).replaceAll('"', '\\"')}"`,
  );
  return parts.length === 0 ? '' : `{${parts.join(',')}}`;
}

const escaped = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');

function numberOf(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
}
