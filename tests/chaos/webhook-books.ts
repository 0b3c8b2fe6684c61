/**
 * Compares the messages of webhook receivers with the expected messages. An independent verifier checks the signature
 * of each message.
 */

import { Webhook } from 'standardwebhooks';
import { rawId } from '../support/raw-id.ts';
import { type Received, startReceiver } from '../support/receiver.ts';
import type { Stage } from './stage.ts';

/** Receivers that must get every event at least once. */
export const GOOD = ['/200/a', '/200/b', '/204/c'];
/** Also gets every event, but fails sometimes. */
const FLAPPING = '/flap/a';
export const BAD = [
  '500',
  '410',
  'redirect',
  'busy',
  'hang',
  'drip',
  'drip-body',
  'reset',
  'huge',
  'garbage',
  'switch',
];

export interface Latencies {
  count: number;
  p50: number;
  p99: number;
  most: number;
}

export interface WebhookBooks {
  /** The webhook address of request `n`. Some of these addresses never reply. */
  addressOf(n: number): string;
  /** Waits until all expected messages have arrived, at most `patienceMs`. Resolves to the problems. */
  check(submitted: ReadonlyMap<number, string>, patienceMs: number): Promise<string[]>;
  /**
   * Time from the end of a prediction, according to the ledger, to the arrival at the good receivers, for events since
   * a moment.
   */
  latencies(sinceMs?: number): Promise<Latencies>;
  /** Predictions without a request of their own: duplicates of repeated requests. */
  extra(submitted: ReadonlyMap<number, string>): Promise<number>;
  /** All requests at receivers, and the repeated messages at good receivers. */
  counts(): { attempts: number; repeated: number };
  close(): Promise<void>;
}

interface EventRow {
  id: string;
  prediction: string;
  type: string;
  status: string;
  /** The webhook address of the prediction itself. */
  own: string | null;
  sequence: number;
  createdAt: number;
}

const ownPath = (n: number): string => (n % 20 === 0 ? `/hang/own-${n}` : `/200/own?n=${n}`);

export async function openBooks(stage: Stage): Promise<WebhookBooks> {
  // Only redirects lead here.
  const trap = await startReceiver();
  const receiver = await startReceiver({ redirectTo: `${trap.url}/trap`, dripMs: 1_000 });
  const api = () => stage.apis[0]?.url as string;
  const post = async (path: string, body?: object) => {
    const response = await fetch(api() + path, {
      method: 'POST',
      ...(body ? { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } } : {}),
    });
    const created = (await response.json()) as { id: string; secret: string };
    if (!response.ok) throw new Error(`POST ${path} returned ${response.status}: ${JSON.stringify(created)}`);
    return created;
  };
  const secrets = new Map<string, string>([['own', (await post('/v1/webhook-secret/rotate')).secret]]);
  const endpoints = new Map<string, string>();
  for (const path of [...GOOD, FLAPPING, ...BAD.map((one) => `/${one}/bad`)]) {
    const { id, secret } = await post('/v1/webhook-endpoints', { url: receiver.url + path });
    secrets.set(path, secret);
    endpoints.set(path, rawId(id));
  }

  const forged: string[] = [];
  let verified = 0;
  const verifying = setInterval(verifyNew, 500);
  function verifyNew(): void {
    for (; verified < receiver.received.length; verified += 1) {
      const { path, headers, body } = receiver.received[verified] as Received;
      try {
        new Webhook(secrets.get(path) ?? (secrets.get('own') as string)).verify(body, headers);
      } catch (error) {
        forged.push(`${path} ${headers['webhook-id']}: ${(error as Error).message}`);
      }
    }
  }

  const events = () =>
    stage.sql<EventRow>(
      `SELECT e.id::text, e.prediction::text, e.type, p.status, p.options->'webhook'->>'url' AS own, e.sequence::int, e.created_at::float8 AS "createdAt"
         FROM events e LEFT JOIN predictions p ON p.id = e.prediction WHERE e.prediction IS NOT NULL ORDER BY e.sequence`,
    );
  const idsAt = (path: string) => new Set(receiver.at(path).map(({ headers }) => headers['webhook-id'] as string));

  /** Describes the messages that did not arrive. */
  function missing(rows: readonly EventRow[]): string[] {
    const lacking = [...GOOD, FLAPPING].flatMap((path) => {
      const got = idsAt(path);
      return rows.flatMap(({ id }) => (got.has(id) ? [] : [`${id} did not reach ${path}`]));
    });
    const arrived = new Set(
      receiver.received.map(({ path, headers }) => `${receiver.url}${path} ${headers['webhook-id']}`),
    );
    for (const { id, own } of rows) {
      if (own !== null && !arrived.has(`${own} ${id}`)) lacking.push(`${id} did not reach its own ${own}`);
    }
    return lacking;
  }

  async function check(submitted: ReadonlyMap<number, string>, patienceMs: number): Promise<string[]> {
    const deadline = performance.now() + patienceMs;
    let rows = await events();
    let lacking = missing(rows);
    while ((lacking.length > 0 || rows.length < submitted.size) && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 500));
      rows = await events();
      lacking = missing(rows);
    }
    const problems = [...lacking];
    const byId = new Map(rows.map((row) => [row.id, row]));
    const ofPrediction = new Map<string, number>();
    for (const { prediction, id, type, status } of rows) {
      ofPrediction.set(prediction, (ofPrediction.get(prediction) ?? 0) + 1);
      if (type !== `prediction.${status}`) problems.push(`event ${id} says ${type}, and its prediction ${status}`);
    }
    for (const id of submitted.values()) {
      const number = ofPrediction.get(id) ?? 0;
      if (number !== 1) problems.push(`prediction ${id} has ${number} events`);
    }
    const gaps = rows.filter(({ sequence }, at) => at > 0 && sequence !== (rows[at - 1]?.sequence as number) + 1);
    // The event about the endpoint that a 410 disabled also has a place in the feed.
    if (gaps.length > 1) problems.push(`the feed has ${gaps.length} gaps`);
    verifyNew();
    problems.push(...forged.map((message) => `not verified: ${message}`));
    for (const { path, headers, body } of receiver.received) {
      const { type, data } = JSON.parse(body) as { type: string; data: { id: string } };
      const event = byId.get(headers['webhook-id'] as string);
      const right = event?.prediction === rawId(data.id) && event.type === type;
      if (!right) problems.push(`${path} got ${headers['webhook-id']}, which is no such event`);
      if (path.includes('/own') && event?.own !== receiver.url + path) {
        problems.push(`${path} got the event of ${data.id}, which named ${event?.own}`);
      }
    }
    if (trap.connections() > 0) problems.push(`${trap.connections()} connections to the target of a redirect`);
    const gone = await stage.sql<{ state: string }>('SELECT state FROM webhook_endpoints WHERE id = $1', [
      endpoints.get('/410/bad'),
    ]);
    if (gone[0]?.state !== 'disabled') problems.push('410 did not disable its endpoint');
    return problems;
  }

  async function latencies(sinceMs = 0): Promise<Latencies> {
    const made = new Map((await events()).map(({ id, createdAt }) => [id, createdAt]));
    const all = GOOD.flatMap((path) => {
      const first = new Map<string, number>();
      for (const { headers, at } of receiver.at(path)) {
        const id = headers['webhook-id'] as string;
        const createdAt = made.get(id);
        if (createdAt !== undefined && createdAt >= sinceMs && !first.has(id)) first.set(id, at - createdAt);
      }
      return [...first.values()];
    }).sort((a, b) => a - b);
    const share = (of: number) => all[Math.min(all.length - 1, Math.floor(all.length * of))] ?? 0;
    return { count: all.length, p50: share(0.5), p99: share(0.99), most: all.at(-1) ?? 0 };
  }

  return {
    addressOf: (n) => receiver.url + ownPath(n),
    check,
    latencies,
    async extra(submitted) {
      const known = new Set(submitted.values());
      return (await events()).filter(({ prediction, own }) => own !== null && !known.has(prediction)).length;
    },
    counts: () => ({
      attempts: receiver.received.length,
      repeated: GOOD.reduce((sum, path) => sum + receiver.at(path).length - idsAt(path).size, 0),
    }),
    async close() {
      clearInterval(verifying);
      await Promise.all([receiver.close(), trap.close()]);
    },
  };
}
