/** Metrics of prom-client whose values are kept elsewhere and are read at each scrape. */
import { Counter, Gauge, type Registry } from 'prom-client';

export interface MetricName {
  name: string;
  help: string;
}

export function readGauge(registry: Registry, { name, help }: MetricName, read: () => number): void {
  new Gauge({
    name,
    help,
    registers: [registry],
    collect() {
      this.set(read());
    },
  });
}

/** A counter with a value for each value of `label`. */
export function readCounter(
  registry: Registry,
  { name, help, label }: MetricName & { label: string },
  read: () => ReadonlyMap<string, number>,
): void {
  new Counter({
    name,
    help,
    labelNames: [label],
    registers: [registry],
    collect() {
      this.reset();
      for (const [value, count] of read()) this.inc({ [label]: value }, count);
    },
  });
}
