/** Retries in every moment of a prediction's life, those before its end is recorded above all. */
import { setTimeout as delay } from 'node:timers/promises';
import { type Doors, disagreements, playRandomly, type Told } from '../../support/lifecycles.ts';
import { startReceiver } from '../../support/receiver.ts';
import type { Context, Fault } from '../fault.ts';
import type { Program } from '../processes.ts';
import { startProxy, type TcpProxy } from '../proxy.ts';
import type { Stage } from '../stage.ts';

const LIFECYCLES = 2_000;
const LIFECYCLES_SHORT = 200;
const AT_ONCE = 12;
const KILLS = 10;
const KILLS_SHORT = 3;
const PATIENCE_MS = 60_000;

/** A call that got no answer counts as one that failed: the client cannot know what became of it. */
const NO_ANSWER: Told = { status: 0, body: {} };

function asker({ apis }: Stage): Doors['ask'] {
  let turn = 0;
  return async (path, { method = 'GET', body } = {} as { method: string; body?: object }) => {
    turn += 1;
    const url = apis[turn % apis.length]?.url ?? 'http://127.0.0.1:9';
    const json = body ? { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) } : {};
    try {
      const response = await fetch(url + path, { method, ...json, signal: AbortSignal.timeout(30_000) });
      return { status: response.status, body: await response.json() };
    } catch {
      return NO_ANSWER;
    }
  };
}

/** Kills the recorder so many times, at random, and starts another in its place. */
async function killRecorders({ random }: Context, times: number, start: () => Promise<Program>): Promise<void> {
  let recorder = await start();
  for (let n = 0; n < times; n += 1) {
    await delay(500 + random() * 3_000);
    await recorder.kill();
    recorder = await start();
  }
}

async function play(context: Context, proxy: TcpProxy): Promise<undefined> {
  const { stage, random, short, note, expect } = context;
  const receiver = await startReceiver();
  try {
    const url = new URL(stage.databaseUrl);
    url.port = String(proxy.port);
    const recorderEnv = { WORKER_ROLES: 'recorder', DATABASE_URL: url.href };
    const doors: Doors = {
      ask: asker(stage),
      receiver,
      random,
      holdRecorder: (stalled) => proxy.behave({ stalled }),
    };
    const killing = killRecorders(context, short ? KILLS_SHORT : KILLS, () => {
      // A start needs Postgres.
      proxy.behave({ stalled: false });
      return stage.startWorker(recorderEnv);
    });
    const [played] = await Promise.all([playRandomly(doors, short ? LIFECYCLES_SHORT : LIFECYCLES, AT_ONCE), killing]);
    doors.holdRecorder(false);
    const { list, feed, webhook } = await disagreements(doors, played, PATIENCE_MS);
    const openings = played.reduce((sum, one) => sum + one.openings, 0);
    const unsure = played.filter((one) => one.unsure).length;
    note(
      `${played.length} lifecycles, ${openings} openings (${unsure} lifecycles with a call whose outcome is unknown): ` +
        `${list.length} ended otherwise in the list, ${feed.length} in the feed, ${webhook.length} at the receiver`,
    );
    for (const one of [...list, ...feed, ...webhook].slice(0, 10)) expect(false, one);
    return undefined;
  } finally {
    await receiver.close();
  }
}

export const retryFaults: Fault[] = [
  {
    name: 'retries-before-recording',
    how: `${LIFECYCLES} random lifecycles of cancels, failures and retries, some three at once (${LIFECYCLES_SHORT} in the short form), while the recorder is held up between what it reads and what it writes, and killed`,
    stage: {
      apis: 2,
      workers: 1,
      env: {
        WORKER_ROLES: 'inference,webhooks',
        WEBHOOK_ALLOW_HTTP: 'true',
        WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8',
        STORE_TIMEOUT_MS: '5000',
      },
    },
    async run(context) {
      const proxy = await startProxy(Number(new URL(context.servers.postgres.directUrl).port));
      try {
        return await play(context, proxy);
      } finally {
        proxy.behave({ stalled: false });
        await proxy.close();
      }
    },
  },
];
