/** Retries at every moment of a prediction's life, especially before its end is recorded. */
import { setTimeout as delay } from 'node:timers/promises';
import { type ApiResponse, disagreements, type LifecycleDeps, playRandomly } from '../../support/lifecycles.ts';
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

/** A call without a response counts as failed: the client cannot know its outcome. */
const NO_RESPONSE: ApiResponse = { status: 0, body: {} };

function caller({ apis }: Stage): LifecycleDeps['call'] {
  let turn = 0;
  return async (path, { method = 'GET', body } = {} as { method: string; body?: object }) => {
    turn += 1;
    const url = apis[turn % apis.length]?.url ?? 'http://127.0.0.1:9';
    const json = body ? { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) } : {};
    try {
      const response = await fetch(url + path, { method, ...json, signal: AbortSignal.timeout(30_000) });
      return { status: response.status, body: await response.json() };
    } catch {
      return NO_RESPONSE;
    }
  };
}

/** Kills the recorder `times` times at random moments and starts another recorder each time. */
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
    const deps: LifecycleDeps = {
      call: caller(stage),
      receiver,
      random,
      holdRecorder: (stalled) => proxy.behave({ stalled }),
    };
    const killing = killRecorders(context, short ? KILLS_SHORT : KILLS, () => {
      // A start needs Postgres.
      proxy.behave({ stalled: false });
      return stage.startWorker(recorderEnv);
    });
    const [played] = await Promise.all([playRandomly(deps, short ? LIFECYCLES_SHORT : LIFECYCLES, AT_ONCE), killing]);
    deps.holdRecorder(false);
    const { list, feed, webhook } = await disagreements(deps, played, PATIENCE_MS);
    const openings = played.reduce((sum, one) => sum + one.openings, 0);
    const unsure = played.filter((one) => one.unsure).length;
    note(
      `${played.length} lifecycles, ${openings} openings (${unsure} lifecycles with a call whose outcome is unknown): ` +
        `${list.length} ended differently in the list, ${feed.length} in the feed, ${webhook.length} at the receiver`,
    );
    for (const problem of [...list, ...feed, ...webhook].slice(0, 10)) expect(false, problem);
    return undefined;
  } finally {
    await receiver.close();
  }
}

export const retryFaults: Fault[] = [
  {
    name: 'retries-before-recording',
    how: `${LIFECYCLES} random lifecycles with cancels, failures and retries, some with three retries at once (${LIFECYCLES_SHORT} in the short form), while the recorder is paused between its reads and its writes, and killed`,
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
