/** A recorder on the run's Redis and Postgres without a worker, and ends for the recorder. */

import { findEnds, recordTerminal, type TerminalRow } from '@millrace/shared/ledger/ledger';
import type { Recorded } from '@millrace/shared/ledger/record-terminal';
import { createPool, type Pool } from '@millrace/shared/postgres/db';
import { SlotReader } from '@millrace/shared/queue/slot-reader';
import type { Connection } from '@millrace/shared/redis/connection';
import pino from 'pino';
import { type Recorder, type RecorderDeps, startRecorder } from '../../apps/worker/src/recorder/recorder.ts';
import { type LiveFixture, SHARD } from '../lifecycle/live-fixture.ts';
import { connectTestRedis } from '../support/test-redis.ts';

export interface StartedRecorder {
  /** Rows of each sent statement. */
  readonly statements: TerminalRow[][];
  /** Committed deliveries. */
  readonly deliveries: Recorded['deliveries'];
  /** The ends that statements wrote. */
  readonly ended: readonly TerminalRow[];
  readonly omitted: () => number;
  /** Milliseconds since the last turn. */
  stalledMs(): number;
  close(): Promise<void>;
}

export const pool = (databaseUrl: string, statementTimeoutMs = 10_000): Pool =>
  createPool({ databaseUrl, max: 4, statementTimeoutMs, applicationName: 'recorder' });

export function recordOf(
  fixture: LiveFixture,
  db: Pool,
  given: Partial<Pick<RecorderDeps, 'consumer' | 'retryDelaysMs' | 'record'>> = {},
): StartedRecorder {
  const statements: TerminalRow[][] = [];
  const deliveries: Recorded['deliveries'] = [];
  const ended: TerminalRow[] = [];
  let omitted = 0;
  const { record = (rows) => recordTerminal(db, rows), ...others } = given;
  const recorder: Recorder = startRecorder({
    ...depsOf(fixture, db),
    ...others,
    record: (rows) => {
      statements.push(rows);
      return record(rows);
    },
    onDeliveries: async (some) => void deliveries.push(...some),
    onEnded: (some) => void ended.push(...some),
    onOmitted: () => {
      omitted += 1;
    },
  });
  const { stalledMs, close } = recorder;
  return { statements, deliveries, ended, omitted: () => omitted, stalledMs, close };
}

export function depsOf(fixture: LiveFixture, db: Pool): RecorderDeps {
  const reader: Connection = connectTestRedis();
  return {
    reader,
    redis: fixture.redis,
    keys: fixture.keys,
    live: fixture.live,
    slots: new SlotReader({
      open: async () => fixture.redis,
      keys: fixture.keys,
      onError(error) {
        throw error;
      },
    }),
    shards: [SHARD],
    consumer: 'r1',
    liveTtlMs: 600_000,
    room: { tight: false },
    retryDelaysMs: [20],
    record: (rows) => recordTerminal(db, rows),
    findEnds: (ids) => findEnds(db, ids),
    postgresResponds: async () => (await db.query('SELECT 1').catch(() => null)) !== null,
    onDeliveries: async () => {},
    onRecorded: () => {},
    onEnded: () => {},
    isClockRight: () => true,
    onOmitted: () => {},
    log: pino({ level: 'silent' }),
  };
}

/** Ends a prediction whose output is text of `characters` characters. Resolves to its id. */
export async function succeed(fixture: LiveFixture, characters: number, given = {}): Promise<string> {
  const { id } = await fixture.submit(given);
  const [taken] = await fixture.take([id]);
  if (!taken) throw new Error('the prediction was not taken');
  await fixture.finish(taken, { result: JSON.stringify('x'.repeat(characters)) });
  return id;
}
