/**
 * `npm run test:compose` runs the product in containers, from docker-compose.yml: starts it, scales workers to 1, 4 and
 * 2 and API replicas to 2 under load, kills a worker container, upgrades every container, and stops everything. No accepted prediction may be
 * lost, and no request may fail during the upgrade. The test needs a container engine with the base images and reports a missing engine.
 */
import path from 'node:path';
import { freePort } from '@millrace/local/process/ports';
import { type Compose, createCompose } from './compose.ts';
import { LedgerClient, pairsOf } from './ledger-client.ts';

const root = path.resolve(import.meta.dirname, '../..');
// A free port, because the test may run twice on this machine.
const port = await freePort();
const base = `http://127.0.0.1:${port}`;
const say = (message: string) => process.stdout.write(`${message}\n`);

async function untilReady(): Promise<void> {
  const deadline = Date.now() + 120_000;
  while (Date.now() < deadline) {
    const ok = await fetch(`${base}/readyz`, { signal: AbortSignal.timeout(2_000) }).then(
      (reply) => reply.ok,
      () => false,
    );
    if (ok) return;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  throw new Error('the system was not ready within two minutes');
}

async function scaled(compose: Compose, counts: Record<string, number>): Promise<void> {
  const flags = Object.entries(counts).flatMap(([service, count]) => ['--scale', `${service}=${count}`]);
  await compose('up', '-d', '--no-build', '--no-recreate', ...flags);
  for (const [service, count] of Object.entries(counts)) {
    const running = await compose.containers(service);
    if (running.length !== count) throw new Error(`${service}: ${running.length} containers run instead of ${count}`);
  }
  say(
    `  scaled: ${Object.entries(counts)
      .map(([service, count]) => `${service}=${count}`)
      .join(' ')}`,
  );
}

const compose = await createCompose(root, port);
const client = new LedgerClient(base);
const sayTally = () => {
  const { submitted, accepted, refused, lost, wrong } = client.tally;
  say(
    `submitted ${submitted}, accepted ${accepted}, refused ${JSON.stringify(refused)}, lost ${lost.length}, wrong ${wrong.length}`,
  );
};
let failed = false;
try {
  if (process.env.COMPOSE_TEST_BUILD !== 'false')
    await compose.docker('build', '--network', 'host', '-t', 'millrace:local', '.');
  const started = Date.now();
  await compose('up', '-d', '--no-build');
  await untilReady();
  say(`up and ready after ${((Date.now() - started) / 1000).toFixed(1)} s`);
  const pairs = await pairsOf(base);
  let going = true;
  const load = client.submitWhile(pairs, 8, () => going);
  client.step = 'workers 1 to 4, APIs 1 to 2';
  await scaled(compose, { worker: 4, api: 2 });
  client.step = 'a worker killed';
  const [victim = ''] = await compose.containers('worker');
  await compose.docker('kill', victim);
  say('  killed a worker');
  client.step = 'workers to 2';
  await scaled(compose, { worker: 2, api: 2 });
  client.step = 'APIs to 3, restarted singly, to 1';
  await scaled(compose, { api: 3 });
  for (const container of await compose.containers('api')) {
    await compose.docker('restart', '-t', '30', container);
    await untilReady();
    say('  restarted an API replica');
  }
  client.step = 'an upgrade of every container';
  const refusedBefore = client.refusedCount();
  say((await compose.script('deploy/compose/upgrade.sh')).replaceAll(/^/gm, '  '));
  if (client.refusedCount() > refusedBefore) throw new Error('requests failed during the upgrade');
  await scaled(compose, { api: 1 });
  going = false;
  await load;
  await client.settle();
  sayTally();
  const { accepted, lost, wrong } = client.tally;
  for (const line of [...lost, ...wrong].slice(0, 10)) say(`  ${line}`);
  failed = lost.length > 0 || wrong.length > 0 || accepted === 0;
} catch (error) {
  failed = true;
  say((error as Error).message);
  sayTally();
  say((await compose('logs', '--no-color', '--tail=30').catch(() => '')).slice(-6_000));
} finally {
  await compose('down', '-v', '-t', '30').catch((error: Error) => say(error.message));
}
say(failed ? 'FAILED' : 'nothing was lost');
process.exit(failed ? 1 : 0);
