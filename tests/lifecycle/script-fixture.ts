/** Runs single scripts on the keys of a LiveFixture, and returns their codes. The store hides these codes: it runs followers.lua at once. */
import { LOST } from '@millrace/shared/live/end-errors';
import { type Finished, finishTexts } from '@millrace/shared/live/ended-state';
import { codesOf } from '@millrace/shared/live/script-replies';
import { type Scripted, withScripts } from '@millrace/shared/live/scripts';
import { letterOf, msText, workerText } from '@millrace/shared/live/state-layout';
import type { Taken } from '@millrace/shared/live/store';
import { beforeAll, beforeEach } from 'vitest';
import { type LiveFixture, NOW, SHARD } from './live-fixture.ts';

export const [RECORDED_MS, UNRECORDED_MS, LINGERS_MS] = [600_000, 86_400_000, 5_000];
const INLINE_BYTES = 4_096;
const ENDS = [RECORDED_MS, UNRECORDED_MS, INLINE_BYTES];
const TOO_LATE = '{"code":"expired"}';
/** One run of a script ends one follower with this result. */
export const LONG_RESULT = JSON.stringify('x'.repeat(600_000));

type Given = Partial<Finished> & { nowMs?: number };

export interface ScriptFixture {
  /** The flight of `lead`, of its own for each test. */
  flight: string;
  /** Runs finish.lua once. Without `state` the script gets the parts of the end instead of the new state. */
  finish(taken: Pick<Taken, 'id' | 'attempt'> & { state?: string }, given?: Given): Promise<number | undefined>;
  /** Runs followers.lua once, with the end of the leader, or with a given result. */
  followers(leader: string, given?: Given): Promise<number>;
  /** Submits a leader with followers. */
  lead(followers: number, expiresAt?: number): Promise<{ id: string; ids: string[] }>;
  taken(id: string): Promise<Taken>;
  cancel(id: string): Promise<unknown>;
  /** The lifetime of a state in ms; -1 for a state that does not expire. */
  lifetime(id: string): Promise<number>;
  /** The number of followers that wait for a leader. */
  waiting(id: string): Promise<number>;
}

export function useScripts(f: LiveFixture): ScriptFixture {
  let scripted: Scripted;
  let number = 0;
  const given = ({ nowMs = NOW, ...rest }: Given, id: string, attempt: number) => {
    const run = { startedAt: nowMs, batchedAt: nowMs, inferenceMs: 1, batchSize: 1 };
    return { id, attempt, status: 'succeeded', result: '{"y":1}', ...run, ...rest } as const;
  };
  const fixture: ScriptFixture = {
    flight: '',
    async finish({ id, attempt, state }, end = {}) {
      const { nowMs = NOW } = end;
      const item = { ...given(end, id, attempt), ...(state === undefined ? {} : { state }) };
      const texts = finishTexts(item, { nowMs, worker: workerText('w1') }, INLINE_BYTES);
      const args = [nowMs, f.keys.tag(SHARD), ...ENDS, LINGERS_MS, TOO_LATE, ...texts];
      return codesOf(await scripted.mrFinish(1, f.keys.live(id), ...args))[0];
    },
    async followers(leader, end) {
      const run = end && given(end, leader, 1);
      const own = run
        ? [
            letterOf(run.status),
            msText(run.startedAt),
            '1.000',
            run.batchSize,
            String(run.result),
            workerText('w1'),
            '7',
          ]
        : ['', '', '', '', '', '', ''];
      const args = [end?.nowMs ?? NOW, f.keys.tag(SHARD), leader, ...ENDS, TOO_LATE, LOST, ...own];
      return Number(await scripted.mrFollowers(1, f.keys.live(leader), ...args));
    },
    async lead(followers, expiresAt = NOW + 60_000) {
      const { flight } = fixture;
      const { id } = await f.submit({ flight, expiresAt });
      const ids: string[] = [];
      for (let n = 0; n < followers; n += 1) ids.push((await f.submit({ flight })).id);
      return { id, ids };
    },
    async taken(id) {
      const [one] = await f.take([id]);
      if (!one) throw new Error('The prediction was not taken.');
      return one;
    },
    cancel: (id) => f.live.end(id, { tenant: 'default', status: 'canceled', nowMs: NOW }),
    lifetime: (id) => f.redis.pttl(f.keys.live(id)),
    waiting: (id) => f.redis.scard(f.keys.followers(id)),
  };
  beforeAll(() => {
    scripted = withScripts(f.redis);
  });
  beforeEach(() => {
    number += 1;
    fixture.flight = `flight-${number}`;
  });
  return fixture;
}
