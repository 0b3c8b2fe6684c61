import { addressRule } from '@millrace/shared/webhooks/address';
import { createResolve } from '@millrace/shared/webhooks/resolve';
import { checkTarget } from '@millrace/shared/webhooks/target';
import { expect, onTestFinished, test } from 'vitest';
import { createSender } from '../../apps/worker/src/webhooks/send.ts';
import { startNameServer } from '../support/name-server.ts';
import { startReceiver } from '../support/receiver.ts';

test('a name server that rebinds gets no connection to where it then leads', async () => {
  const trap = await startReceiver();
  // Harmless as it is checked, inside as it is connected to; the harmless one is allowed here and nobody listens there.
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
  expect(names.asked()).toBe(10);
  expect(trap.connections()).toBe(0);
});

test('a name server that never answers for IPv6 keeps nobody from the address that it has', async () => {
  const names = await startNameServer(() => '127.0.0.7', { silent: true });
  onTestFinished(() => names.close());
  // It would be asked for a minute, and the test be over before.
  const resolve = createResolve({ servers: [names.server], timeoutMs: 60_000, tries: 1 });
  expect(await resolve('half.example')).toEqual(['127.0.0.7']);
});
