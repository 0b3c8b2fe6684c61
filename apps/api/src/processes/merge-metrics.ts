/** Joins the metrics of several processes into one text. A pure function. */

interface Family {
  /** The lines of HELP and TYPE. */
  head: string[];
  samples: string[];
}

/**
 * `texts` are in Prometheus' text format, by the number of the process. Each sample gets the label `api_process`. The samples of a
 * metric follow each other, as the format requires.
 */
export function mergeMetrics(texts: ReadonlyMap<number, string>): string {
  const families = new Map<string, Family>();
  for (const [process, text] of texts) {
    let name = '';
    for (const line of text.split('\n')) {
      if (line.startsWith('# ')) {
        name = line.split(' ')[2] ?? '';
        const family = families.get(name) ?? { head: [], samples: [] };
        families.set(name, family);
        if (!family.head.includes(line)) family.head.push(line);
      } else if (line !== '') families.get(name)?.samples.push(labeled(line, process));
    }
  }
  return [...families.values()].map(({ head, samples }) => `${[...head, ...samples].join('\n')}\n`).join('\n');
}

/** A sample is `name value` or `name{labels} value`. A name has no brace. */
function labeled(sample: string, process: number): string {
  const brace = sample.indexOf('{');
  const space = sample.indexOf(' ');
  const label = `api_process="${process}"`;
  if (brace < 0 || brace > space) return `${sample.slice(0, space)}{${label}}${sample.slice(space)}`;
  return `${sample.slice(0, brace + 1)}${label},${sample.slice(brace + 1)}`;
}
