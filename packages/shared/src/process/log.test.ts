import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createLog, levelSwitch } from './log.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

type Line = Record<string, unknown>;

function open(level = 'info') {
  const lines: Line[] = [];
  const write = (line: string) => void lines.push(JSON.parse(line) as Line);
  return { log: createLog({ name: 'api', level, destination: { write } }), lines };
}

describe('the log of a process', () => {
  test('writes the first lines of a kind in a minute, and counts the others in one line', () => {
    const { log, lines } = open();
    for (let n = 0; n < 1_000; n += 1)
      log.error({ code: 'internal', model: 'm', id: `p${n}`, input: 'a payload' }, `request ${n} failed`);
    expect(lines.map(({ id }) => id)).toEqual(['p0', 'p1', 'p2', 'p3', 'p4']);
    vi.advanceTimersByTime(60_000);
    expect(lines).toHaveLength(6);
    expect(lines.at(-1)).toMatchObject({ level: 50, code: 'internal', model: 'm', id: 'p999', left_out: 995 });
    expect(lines.at(-1)).not.toHaveProperty('input');
    log.error({ code: 'internal', model: 'm' }, 'request 0 failed');
    expect(lines).toHaveLength(7);
  });

  test('writes at most 60 warnings and errors in a minute, whatever happens', () => {
    const { log, lines } = open();
    for (let n = 0; n < 300; n += 1)
      for (const code of ['a', 'b', 'c']) log.warn({ code, model: `m${n}` }, `event ${code} happened`);
    vi.advanceTimersByTime(59_999);
    expect(lines).toHaveLength(40);
    vi.advanceTimersByTime(1);
    expect(lines.length).toBeLessThanOrEqual(60);
    const counted = lines.reduce((sum, { left_out = 0 }) => sum + Number(left_out), 0);
    expect(lines.filter(({ left_out }) => left_out === undefined).length + counted).toBe(900);
  });

  test('does not limit other levels, and different models have lines of their own', () => {
    const { log, lines } = open('debug');
    for (let n = 0; n < 100; n += 1) {
      log.info('request');
      log.debug('detail');
    }
    expect(lines).toHaveLength(200);
    log.warn({ model: 'a' }, 'slow');
    log.warn({ model: 'b' }, 'slow');
    expect(lines).toHaveLength(202);
  });

  test('changes its level at run time, and back', () => {
    const { log, lines } = open();
    const change = levelSwitch(log);
    log.debug('hidden');
    change();
    log.debug('shown');
    change();
    log.debug('hidden again');
    expect(lines.map(({ msg }) => msg)).toEqual([
      'the log level was changed by SIGUSR2',
      'shown',
      'the log level was changed by SIGUSR2',
    ]);
  });
});
