import { expect, test } from 'vitest';
import { EndpointLog } from './endpoint-log.ts';
import type { AttemptRecord } from './record-outcome.ts';

test('an endpoint has one line when its attempts begin to fail, and one when they succeed again', () => {
  const lines: [string, object][] = [];
  const endpoints = new EndpointLog({
    warn: (fields: object, message?: string) => void lines.push([message ?? '', fields]),
    info: (fields: object, message?: string) => void lines.push([message ?? '', fields]),
  } as ConstructorParameters<typeof EndpointLog>[0]);
  const attempt = (endpoint: string | null, replyStatus: number, at: number) =>
    endpoints.attempt({
      endpoint,
      tenant: 'acme',
      delivery: 'd1',
      replyStatus,
      error: null,
      at,
      status: replyStatus === 200 ? 'delivered' : 'pending',
    } as AttemptRecord);
  attempt('a', 200, 0);
  for (const at of [1_000, 2_000, 3_000]) attempt('a', 500, at);
  attempt(null, 500, 4_000);
  attempt('b', 503, 4_000);
  attempt('a', 200, 61_000);
  attempt('a', 500, 62_000);
  expect(lines).toEqual([
    ['endpoint fails', { endpoint: 'a', tenant: 'acme', delivery: 'd1', outcome: 500 }],
    ['endpoint fails', { endpoint: 'b', tenant: 'acme', delivery: 'd1', outcome: 503 }],
    ['endpoint is well again', { endpoint: 'a', tenant: 'acme', seconds: 60 }],
    ['endpoint fails', { endpoint: 'a', tenant: 'acme', delivery: 'd1', outcome: 500 }],
  ]);
});
