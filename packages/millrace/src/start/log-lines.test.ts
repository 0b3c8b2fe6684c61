import { describe, expect, test } from 'vitest';
import { terminalLine } from './log-lines.ts';

const line = (record: object) => JSON.stringify({ time: 1_700_000_000_000, pid: 7, hostname: 'here', ...record });

describe('a line for the terminal', () => {
  test('has the message and the fields', () => {
    expect(terminalLine('worker', line({ level: 30, msg: 'model ready', model: 'm', engines: 2 }))).toBe(
      'worker │ model ready model=m engines=2',
    );
  });

  test('has the method, URL, status and time of a request', () => {
    const request = { req: { method: 'POST', url: '/v1' }, res: { statusCode: 202 }, responseTime: 1.234 };
    expect(terminalLine('api', line({ level: 30, msg: 'request completed', ...request }))).toBe(
      'api    │ request completed POST /v1 202 1.2 ms',
    );
  });

  test('names a level above information, and the message of the error', () => {
    const err = { type: 'Error', message: 'connect ECONNREFUSED', stack: 'Error: connect\n    at x' };
    expect(terminalLine('api', line({ level: 50, msg: 'no database', err }))).toBe(
      'api    │ error no database connect ECONNREFUSED',
    );
  });

  test('is not made from a line that is only for the log file', () => {
    expect(terminalLine('api', line({ level: 20, msg: 'detail' }))).toBeUndefined();
    expect(terminalLine('api', '')).toBeUndefined();
  });

  test('stays unchanged when it is not a record', () => {
    expect(terminalLine('api', '    at main.ts:1:1')).toBe('api    │     at main.ts:1:1');
    expect(terminalLine('api', '{"half":')).toBe('api    │ {"half":');
    expect(terminalLine('api', '{"msg":"no level"}')).toBe('api    │ {"msg":"no level"}');
  });
});
