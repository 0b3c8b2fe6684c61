/** Reads metrics in Prometheus' text format. */

export interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

export function samplesOf(text: string, name: string): Sample[] {
  return text.split('\n').flatMap((line) => {
    const [, found, labels = '', value] = /^([a-z_A-Z:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    return found === name ? [{ name: found, labels: labelsOf(labels), value: Number(value) }] : [];
  });
}

/** The value of a sample such as `name{a="b"}`, with the labels in any order; NaN where there is none. */
export function metricOf(text: string, wanted: string): number {
  const [, name = '', labels = ''] = /^([\w:]+)(?:\{(.*)\})?$/.exec(wanted) ?? [];
  const own = Object.entries(labelsOf(labels));
  const found = samplesOf(text, name).filter((sample) => own.every(([key, value]) => sample.labels[key] === value));
  return found.length === 0 ? Number.NaN : found.reduce((sum, { value }) => sum + value, 0);
}

const labelsOf = (text: string): Record<string, string> =>
  Object.fromEntries([...text.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key = '', value = '']) => [key, value]));
