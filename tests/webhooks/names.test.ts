import { addressRule } from '@millrace/shared/webhooks/address';
import { createResolve } from '@millrace/shared/webhooks/resolve';
import { checkTarget } from '@millrace/shared/webhooks/target';
import { expect, onTestFinished, test } from 'vitest';
import { createSender } from '../../apps/worker/src/webhooks/send.ts';
import { startNameServer } from '../support/name-server.ts';
import { startReceiver } from '../support/receiver.ts';

test('a name server that rebinds a name gets no connection to the new address', async () => {
  const trap = await startReceiver();
  // The name resolves to a harmless address for the check and to an internal address for the connection. The harmless
  // address is allowed here, and no server listens there.
  const names = await startNameServer((number) => (number % 2 === 0 ? '127.0.0.2' : '127.0.0.1'));
  const resolve = createResolve({ servers: [names.server] });
  const rules = { allowHttp: true, mayReach: addressRule(['127.0.0.2/32']) };
  const sender = createSender({ ...rules, resolve, timeoutMs: 2_000 });
  onTestFinished(async () => {
    sender.close();
    await Promise.all([trap.close(), names.close()]);
  });
  const url = `http://rebinding.example:${trap.port}/200`;
  for (let i = 0; i < 5; i++) {
    expect(await checkTarget(url, rules, resolve)).toBeInstanceOf(URL);
    expect((await sender.send({ url, body: '{}', headers: {} })).outcome).toEqual({ error: 'address_refused' });
  }
  expect(names.queries()).toBe(10);
  expect(trap.connections()).toBe(0);
});

test('a name server that never replies for IPv6 does not prevent the use of the IPv4 address', async () => {
  const names = await startNameServer(() => '127.0.0.7', { silent: true });
  onTestFinished(() => names.close());
  // With this timeout the resolver would wait for a minute, longer than the test.
  const resolve = createResolve({ servers: [names.server], timeoutMs: 60_000, tries: 1 });
  expect(await resolve('half.example')).toEqual(['127.0.0.7']);
});
