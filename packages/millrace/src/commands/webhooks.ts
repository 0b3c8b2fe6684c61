/** `webhooks`: endpoints, deliveries, and `listen`, which forwards events to a program under development. */
import type { Command } from 'commander';
import { all } from '../program/all.ts';
import { type Context, openContext, withServer } from '../program/context.ts';
import { wholeNumber } from './input.ts';
import { listen } from './listen.ts';

interface DeliveryOptions {
  status?: 'pending' | 'delivered' | 'failed' | 'canceled';
  endpoint?: string;
  prediction?: string;
  limit: number;
}

const PAGE = 100;

export function addWebhooks(program: Command): void {
  const webhooks = program
    .command('webhooks')
    .description('list endpoints and deliveries, redeliver, and forward events');
  withServer(webhooks.command('endpoints'))
    .description('list the endpoints')
    .action(async (options: object) => endpoints(await openContext(options)));
  withServer(webhooks.command('deliveries'))
    .description('list the deliveries, newest first')
    .option('--status <status>', 'pending, delivered, failed or canceled')
    .option('--endpoint <id>', 'only deliveries to this endpoint')
    .option('--prediction <id>', 'only deliveries of this prediction')
    .option('-n, --limit <number>', 'the most deliveries to print', wholeNumber(1, 1_000_000), 20)
    .action(async (options: DeliveryOptions) => deliveries(await openContext(options), options));
  withServer(webhooks.command('redeliver <id>'))
    .description('make one attempt of a delivery at once')
    .action(async (id: string, options: object) => {
      const { millrace, out, signal } = await openContext(options);
      const path = '/v1/webhook-deliveries/{id}/redeliver';
      const delivery = await millrace.request('POST', path, { path: { id }, signal });
      out.result(delivery, () => `${id} is due again`);
    });
  withServer(webhooks.command('listen <url>'))
    .description('forward new events to a URL, such as http://127.0.0.1:3000/webhook, with a signature')
    .option('--from-start', 'forward the events of the whole feed')
    .action(async (url: string, options: { fromStart?: boolean }) =>
      listen(await openContext(options), { url, fromStart: options.fromStart === true }),
    );
}

async function endpoints({ millrace, out, signal }: Context): Promise<void> {
  const found = await all(millrace.webhooks.endpoints({ signal }));
  const rows = found.map(({ id, status, url, events, failing_since_at }) => [
    id,
    status,
    url,
    events.join(' ') || 'all',
    failing_since_at ? out.time(failing_since_at) : '',
  ]);
  out.result(found, () =>
    rows.length > 0 ? out.table(['ID', 'STATUS', 'URL', 'EVENTS', 'FAILING SINCE'], rows) : 'There are no endpoints.',
  );
}

async function deliveries({ millrace, out, signal }: Context, options: DeliveryOptions): Promise<void> {
  const { status, endpoint, prediction, limit } = options;
  const query = { status, endpointId: endpoint, predictionId: prediction, limit: Math.min(limit, PAGE), signal };
  const found = [];
  for await (const delivery of millrace.webhooks.deliveries(query)) {
    found.push(delivery);
    if (found.length === limit) break;
  }
  const rows = found.map((delivery) => [
    delivery.id,
    delivery.status,
    delivery.event.type,
    String(delivery.attempts.length),
    out.time(delivery.created_at),
    delivery.url,
  ]);
  out.result(found, () =>
    rows.length > 0
      ? out.table(['ID', 'STATUS', 'EVENT', 'ATTEMPTS', 'CREATED', 'URL'], rows)
      : 'There are no deliveries with these filters.',
  );
}
