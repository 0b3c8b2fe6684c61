import { Writable } from 'node:stream';
import { migrate } from '@millrace/shared/postgres/migrate';
import { placeOf } from '@millrace/shared/postgres/postgres-error';
import { ConfigError, loadConfig } from '@millrace/shared/process/config';
import { loggedError } from '@millrace/shared/process/logged-error';
import { connectRedis } from '@millrace/shared/redis/connection';
import pino from 'pino';
import { describe, expect, inject, test } from 'vitest';
import { createWebhookCheck } from '../../apps/api/src/webhooks/check-target.ts';

// Each password has the parts qzx, jvk and wpy, in this order, around the odd characters. No other part of a URL has them.
const SECRET = /qzx|jvk|wpy|7193/i;
const ODD = [
  ...[
    '@',
    '@@',
    ':',
    '::',
    '/',
    '//',
    '?',
    '#',
    '%',
    '%4',
    '%zz',
    '%40',
    '%2F',
    '%25',
    '&',
    '=',
    '+',
    ' ',
    '\\',
    '"',
    "'",
    '<',
    '>',
  ],
  ...[
    '[',
    ']',
    '{',
    '}',
    '|',
    '^',
    '`',
    '~',
    '!',
    '$',
    '*',
    '(',
    ')',
    ',',
    ';',
    'é',
    '日本',
    '\u0000',
    '\n',
    '\t',
    '@:',
    ':@',
    '/@',
  ],
  ...['@/', '?@', '#@', '@?', '@#', '%@', '://', '@127.0.0.1:1/'],
];
const passwords = ODD.flatMap((odd) => [`qzx${odd}jvk${odd}wpy`, `7193${odd}qzx`, `${odd}qzx`]);
/** Forms of a URL, for a password and a scheme. Azure's users contain an @. Libpq accepts parameters. */
const forms = (scheme: string, password: string): string[] => [
  `${scheme}://user:${password}@127.0.0.1:1/db`,
  `${scheme}://name@server:${password}@127.0.0.1:1/db`,
  `${scheme}://:${password}@127.0.0.1:1`,
  `${scheme}://127.0.0.1:1/db?user=u&password=${password}`,
  `${scheme}:user:${password}@127.0.0.1:1/db`,
  `user:${password}@127.0.0.1:1/db`,
];

/** The messages of invalid settings; empty when the settings are valid. */
function configProblems(env: Record<string, string>): string {
  try {
    loadConfig(env);
    return '';
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
}

describe('no part of a password is printed', () => {
  test('for odd Postgres URLs: in the place, in the problems of settings and in the error of a connection', async () => {
    for (const url of passwords.flatMap((password) => forms('postgres', password))) {
      expect(placeOf(url), url).not.toMatch(SECRET);
      expect(configProblems({ DATABASE_URL: url }), url).not.toMatch(SECRET);
    }
    // A connection for each odd character: the driver reads the URL in its own way.
    for (const password of passwords.filter((_, n) => n % 3 !== 2)) {
      const url = forms('postgres', password)[0] as string;
      const error = await migrate(url, { connectTimeoutMs: 500 }).then(
        () => undefined,
        (error: Error) => error,
      );
      expect(error?.message, url).toMatch(/DATABASE_URL/);
      expect(error?.message, url).not.toMatch(SECRET);
      expect(JSON.stringify(loggedError(error)), url).not.toMatch(SECRET);
    }
  }, 60_000);

  test('the place keeps host, port and database', () => {
    expect(placeOf('postgres://u:s3cr@tTAIL@host/db')).toBe('postgres://host/db');
    expect(placeOf('postgres://name@server:PASS@host:5433/db?sslmode=require')).toBe('postgres://host:5433/db');
    expect(placeOf('postgres://u:12/34@host/db')).toBe('the address in DATABASE_URL');
  });

  test('for odd Redis URLs and sentinels: in the problems of settings', () => {
    for (const password of passwords)
      for (const url of forms('redis', password))
        for (const name of ['REDIS_URL', 'CACHE_REDIS_URL', 'PUBLIC_URL', 'REDIS_SENTINELS'])
          expect(configProblems({ [name]: url }), url).not.toMatch(name === 'REDIS_SENTINELS' ? /qzx.*@/ : SECRET);
    expect(configProblems({ REDIS_URL: 'redis://u:p%zz@h' })).toContain('REDIS_URL has a % in its user or password');
    expect(configProblems({ REDIS_URL: 'redis://u:12/ss@h' })).toContain('REDIS_URL has an @ after its host');
    expect(configProblems({ PUBLIC_URL: 'https://u:p@h' })).toContain('PUBLIC_URL must not have a user or password');
  });

  test('in the log of a Redis that refuses the password', async () => {
    const { hostname, port } = new URL(inject('redisUrl'));
    let lines = '';
    const log = pino(
      { serializers: { err: (error: unknown) => loggedError(error) } },
      new Writable({
        write: (chunk, _, done) => {
          lines += chunk;
          done();
        },
      }),
    );
    const error = await new Promise<Error>((resolve) => {
      const redis = connectRedis(`redis://user:qzxjvk@${hostname}:${port}`, 'blocking', {
        onError: (refused) => {
          redis.disconnect();
          resolve(refused);
        },
      });
    });
    log.warn({ err: error }, 'refused');
    expect(lines).toContain('WRONGPASS');
    expect(lines).not.toMatch(SECRET);
  });

  test('in the log of an error with a text of a URL', () => {
    const invalid = Object.assign(new TypeError('Invalid URL'), { input: 'redis://:qzx@', code: 'ERR_INVALID_URL' });
    const logged = JSON.stringify(loggedError(new Error('Not started', { cause: new AggregateError([invalid]) })));
    expect(logged).toContain('ERR_INVALID_URL');
    expect(logged).not.toMatch(SECRET);
  });

  test('in the refusal of a webhook URL', async () => {
    const check = createWebhookCheck({ webhookHttp: false, webhookNetworks: [] }, async () => ['192.0.2.1']);
    for (const password of passwords)
      for (const url of forms('https', password).slice(0, 3)) {
        const refusal = await check(url).then(
          () => undefined,
          (error: unknown) => error,
        );
        expect(JSON.stringify(refusal), url).not.toMatch(SECRET);
      }
  });
});
