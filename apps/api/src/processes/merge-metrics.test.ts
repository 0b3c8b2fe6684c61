import { expect, test } from 'vitest';
import { mergeMetrics } from './merge-metrics.ts';

test('each sample names its process, and the samples of a metric follow each other', () => {
  const text = (count: number) =>
    `# HELP a The help.\n# TYPE a counter\na{path="/v1/{x} y"} ${count}\n\n# HELP b Other.\n# TYPE b gauge\nb ${count}\n`;
  const merged = mergeMetrics(
    new Map([
      [1, text(3)],
      [2, text(4)],
    ]),
  );
  expect(merged).toBe(
    [
      '# HELP a The help.',
      '# TYPE a counter',
      'a{api_process="1",path="/v1/{x} y"} 3',
      'a{api_process="2",path="/v1/{x} y"} 4',
      '',
      '# HELP b Other.',
      '# TYPE b gauge',
      'b{api_process="1"} 3',
      'b{api_process="2"} 4',
      '',
    ].join('\n'),
  );
});
