/** Too many clients, slow clients, and more work than the system can compute. */
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { gather, post } from '../../../bench/load/crowd.ts';
import { type Fault, slowest } from '../fault.ts';
import { startLoad } from '../load.ts';
import { quick, slow, type TestRequest } from '../models.ts';

const SLOW_WRITERS = 50;
const SLOW_READERS = 50;

export const crowdFaults: Fault[] = [
  {
    name: 'clients-10000',
    how: '10,000 clients at once, each with its own connection and input (2,000 in the short form)',
    async run({ stage, short, note, expect }) {
      const count = short ? 2_000 : 10_000;
      const url = new URL(stage.apis[0]?.url ?? '');
      const crowd = await gather(url.hostname, Number(url.port), count);
      const inputs = Array.from({ length: count }, () => quick());
      const path = `${url.origin}/v1/models/quick/predictions`;
      const requests = inputs.map(({ input }) => post(path, { prefer: 'wait=50' }, JSON.stringify({ input })));
      const startedAt = performance.now();
      const responses = await crowd.send(requests, 60_000);
      const tookMs = Math.round(performance.now() - startedAt);
      crowd.close();
      const bad = new Map<string, number>();
      for (const [at, { status, body }] of responses.entries()) {
        const prediction =
          status === 200 ? (JSON.parse(body) as { id: string; status: string; output: unknown }) : undefined;
        const output = JSON.stringify(prediction?.output);
        if (prediction && output === inputs[at]?.expected) {
          const seen = { status: prediction.status, output, detail: '' };
          stage.client.entries.push({
            request: inputs[at] as TestRequest,
            mode: 'wait',
            id: prediction.id,
            promised: false,
            seen,
            atMs: 0,
          });
        } else bad.set(`${status} ${body.slice(0, 80)}`, (bad.get(`${status} ${body.slice(0, 80)}`) ?? 0) + 1);
      }
      note(`${count} clients served in ${(tookMs / 1_000).toFixed(1)} s`);
      expect(bad.size === 0, `responses without a correct result: ${JSON.stringify([...bad].slice(0, 5))}`);
      return undefined;
    },
  },
  {
    name: 'slow-clients',
    how: '50 clients that send one byte per second and 50 that send requests and read nothing, beside other clients',
    stage: { env: { REQUEST_TIMEOUT_MS: '3000', CONNECTION_TIMEOUT_MS: '4000' } },
    async run({ stage, random, note, expect, goal }) {
      const api = stage.apis[0];
      const url = new URL(api?.url ?? '');
      const load = startLoad(stage.client, random, { clients: 4, request: () => quick() });
      await delay(1_000);
      const before = residentMib(api?.pid ?? 0);
      const startedAt = Date.now();
      const dial = () => connect({ host: url.hostname, port: Number(url.port) });
      const writers = Array.from({ length: SLOW_WRITERS }, () => drip(dial()));
      const readers = Array.from({ length: SLOW_READERS }, () => neverRead(dial()));
      const writersS = await allClosed(writers, 15_000);
      const readersS = await allClosed(readers, 15_000);
      const grown = residentMib(api?.pid ?? 0) - before;
      await load.stop();
      const others = stage.client.replies.filter(({ atMs }) => atMs > startedAt);
      note(
        `writers dropped after ${writersS} s, readers after ${readersS} s; the API grew by ${grown} MiB; the slowest of ${others.length} others took ${slowest(others)} ms`,
      );
      expect(writersS !== undefined, 'slow writers were not dropped');
      expect(readersS !== undefined, 'slow readers were not dropped');
      goal(grown < 150, `the API grew by ${grown} MiB`);
      expect(
        others.every(({ status }) => status === 200 || status === 202),
        JSON.stringify(stage.client.tally(startedAt)),
      );
      return undefined;
    },
  },
  {
    name: 'overload',
    how: 'three times the possible load, at a fixed rate without waiting',
    stage: { env: { MAX_QUEUE: '40' } },
    async run({ stage, short, note, expect, goal }) {
      const seconds = short ? 6 : 20;
      const closed = () =>
        goodput(stage, seconds, async (until) => {
          const clients = Array.from({ length: 24 }, async () => {
            while (Date.now() < until) await stage.client.submit(slow(15));
          });
          await Promise.all(clients);
        });
      // The closed load runs before and after, because the other activity of the machine changes over time.
      const first = await closed();
      const from = Date.now();
      const under = await goodput(stage, seconds, async (until) => {
        const requests: Promise<unknown>[] = [];
        while (Date.now() < until) {
          await delay(20);
          for (let n = 0; n < Math.ceil((3 * first) / 50); n += 1)
            requests.push(stage.client.submit(slow(15), { waitS: 10 }));
        }
        void Promise.all(requests);
      });
      const until = Date.now();
      const peak = (first + (await closed())) / 2;
      const replies = stage.client.replies.filter(({ atMs }) => atMs > from && atMs < until);
      const refused = replies.filter(({ status }) => status === 429 || status === 503);
      note(
        `${peak.toFixed(0)}/s at its peak, ${under.toFixed(0)}/s under three times that (${Math.round((100 * under) / peak)} %), ${refused.length} refused`,
      );
      goal(under >= 0.9 * peak, `goodput fell to ${Math.round((100 * under) / peak)} % of its peak`);
      expect(
        refused.length > 0 && refused.every(({ retryAfter }) => retryAfter !== null),
        'refusals without Retry-After, or no refusals',
      );
      return Date.now();
    },
  },
];

/** Results per second that the ledger client received, or that the workers wrote, while `drive` ran. */
async function goodput(
  stage: Parameters<Fault['run']>[0]['stage'],
  seconds: number,
  drive: (until: number) => Promise<void>,
): Promise<number> {
  const written = 'millrace_worker_predictions_total{model="slow",version="1",status="succeeded",verdict="written"}';
  const worker = stage.workers[0];
  const before = (await worker?.metric(written)) ?? 0;
  const startedAt = Date.now();
  await drive(startedAt + seconds * 1_000);
  const after = (await worker?.metric(written)) ?? 0;
  return ((after - before) * 1_000) / (Date.now() - startedAt);
}

/** Sends a request one byte per second. */
function drip(socket: Socket): Socket {
  const text =
    'POST /v1/models/quick/predictions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{';
  let at = 0;
  const timer = setInterval(() => {
    socket.write(text[at % text.length] as string);
    at += 1;
  }, 1_000);
  socket.on('error', () => {});
  socket.on('close', () => clearInterval(timer));
  socket.resume();
  return socket;
}

/** Sends many requests and reads no response. */
function neverRead(socket: Socket): Socket {
  socket.on('error', () => {});
  socket.pause();
  socket.write('GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(200));
  return socket;
}

/** Seconds until the server has closed all sockets. Undefined when this takes longer than `patienceMs`. */
async function allClosed(sockets: readonly Socket[], patienceMs: number): Promise<number | undefined> {
  const startedAt = Date.now();
  // A socket that reads nothing receives no end. A write detects the end.
  const open = (socket: Socket) => {
    if (socket.isPaused()) socket.write('\r\n');
    return !socket.destroyed;
  };
  for (;;) {
    if (!sockets.some(open)) return Math.round((Date.now() - startedAt) / 100) / 10;
    if (Date.now() - startedAt > patienceMs) {
      for (const socket of sockets) socket.destroy();
      return undefined;
    }
    await delay(100);
  }
}

function residentMib(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Math.round(Number(kib) / 1_024);
}
