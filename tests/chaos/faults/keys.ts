/** Callers with API keys, and clients with unknown keys. */
import { randomBytes } from 'node:crypto';
import { Agent, request } from 'node:http';
import { createPool } from '@millrace/shared/postgres/db';
import { createApiKey, newKey } from '@millrace/shared/tenants/api-keys';
import { LedgerClient } from '../client.ts';
import { type Fault, slowest } from '../fault.ts';
import { quick } from '../models.ts';
import type { Stage } from '../stage.ts';

const STRANGERS = 40;

export const keyFaults: Fault[] = [
  {
    name: 'unknown-keys',
    how: `many unknown keys: ${STRANGERS} connections that send a new key with each request, with and without a checksum, beside a caller with a valid key`,
    async run({ stage, short, note, expect, goal }) {
      const authorization = `Bearer ${await keyOfDefault(stage)}`;
      const locked = await stage.startApi({ API_KEYS_REQUIRED: 'true' });
      const caller = new LedgerClient(() => [locked.url]);
      const seconds = short ? 4 : 15;
      /** Results per second for the caller, whose requests alternate between waiting and promised. */
      const rate = async () => {
        const from = caller.replies.length;
        const startedAt = performance.now();
        for (let n = 0; performance.now() - startedAt < seconds * 1_000; n += 1)
          await caller.submit(quick(), { mode: n % 2 === 0 ? 'wait' : 'async', headers: { authorization } });
        const replies = caller.replies.slice(from);
        return { perS: (replies.length * 1_000) / (performance.now() - startedAt), replies };
      };
      const alone = await rate();
      const flood = startFlood(locked.url);
      const beside = await rate();
      const statuses = await flood.stop();
      stage.client.entries.push(...caller.entries);
      stage.client.replies.push(...caller.replies);
      await locked.stop();
      const others = [...statuses].map(([status, count]) => `${count} × ${status}`).join(', ');
      note(
        `the caller had ${alone.perS.toFixed(0)} results/s alone and ${beside.perS.toFixed(0)}/s beside the unknown keys (${others}), the slowest in ${slowest(beside.replies)} ms`,
      );
      expect(
        [...alone.replies, ...beside.replies].every(({ status }) => status === 200 || status === 202),
        `the caller was refused: ${JSON.stringify(caller.tally())}`,
      );
      expect(
        [...statuses.keys()].every((status) => status === 401 || status === 503),
        `an unknown key got ${others}`,
      );
      goal(slowest(beside.replies) <= 1_000, `a result took ${slowest(beside.replies)} ms`);
      return undefined;
    },
  },
];

async function keyOfDefault(stage: Stage): Promise<string> {
  const db = createPool({
    databaseUrl: stage.databaseUrl,
    max: 1,
    statementTimeoutMs: 10_000,
    applicationName: 'chaos-keys',
  });
  try {
    return (await createApiKey(db, { tenant: 'default', name: 'chaos', expiresAt: null })).key;
  } finally {
    await db.end();
  }
}

function startFlood(url: string): { stop(): Promise<Map<number, number>> } {
  const agent = new Agent({ keepAlive: true, maxSockets: STRANGERS });
  const statuses = new Map<number, number>();
  let stopped = false;
  const stranger = async (at: number) => {
    while (!stopped) {
      const key = at % 2 === 0 ? newKey() : `mrk_${randomBytes(32).toString('base64url')}`;
      const status = await statusOf(url, agent, key);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
  };
  const all = Promise.all(Array.from({ length: STRANGERS }, (_, at) => stranger(at)));
  return {
    async stop() {
      stopped = true;
      await all;
      agent.destroy();
      return statuses;
    },
  };
}

/** 0 for a failed connection. */
function statusOf(url: string, agent: Agent, key: string): Promise<number> {
  return new Promise((resolve) => {
    const call = request(`${url}/v1/models`, { agent, headers: { authorization: `Bearer ${key}` } }, (response) => {
      response.resume();
      response.on('close', () => resolve(response.statusCode ?? 0));
    });
    call.on('error', () => resolve(0));
    call.end();
  });
}
