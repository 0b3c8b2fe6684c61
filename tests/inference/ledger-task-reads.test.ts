/** Tests the read of tasks from the ledger where Postgres is not the primary, or fails in the middle. */
import { findOnPrimary, insertPromises, readTasks } from '@millrace/shared/ledger/ledger';
import type { Taken } from '@millrace/shared/live/store';
import { createPool, type Pool } from '@millrace/shared/postgres/db';
import { newPredictionId } from '@millrace/shared/predictions/ids';
import { ledgerTask } from '@millrace/shared/predictions/ledger-task';
import pino from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LedgerTasks, type LedgerTasksDeps } from '../../apps/worker/src/inference/ledger-tasks.ts';
import { promiseRow } from '../ledger/rows.ts';
import { useTestDatabase } from '../support/test-database.ts';

const database = useTestDatabase();
const log = pino({ level: 'silent' });
const TASK = '{"shape":"one","rows":["1"],"keys":[null],"digest":"d","epoch":0}';
const BYTES = 10 * 1_048_576;
let primary: Pool;
/** As on a standby, no transaction may write. */
let standby: Pool;

beforeAll(() => {
  const settings = { max: 2, statementTimeoutMs: 10_000, applicationName: 'ledger-task-reads' };
  primary = createPool({ ...settings, databaseUrl: database.url });
  const url = new URL(database.url);
  url.searchParams.set('options', '-c default_transaction_read_only=on');
  standby = createPool({ ...settings, databaseUrl: url.href });
});
afterAll(() => Promise.all([primary.end(), standby.end()]));

const newId = () => newPredictionId(0, Date.now());
const takenOf = (id: string, bytes = BYTES): Taken => ({ id, attempt: 1, lost: 0, task: ledgerTask(bytes) }) as Taken;

async function inLedger(): Promise<string> {
  const row = promiseRow({ id: newId(), task: TASK });
  await insertPromises(primary, [row]);
  return row.id;
}

const tasksOf = (db: Pool, given: Partial<LedgerTasksDeps> = {}) =>
  new LedgerTasks({
    readTasks: (ids) => readTasks(db, ids),
    findOnPrimary: (ids) => findOnPrimary(db, ids),
    log,
    ...given,
  });

test('a row that the primary lacks has no input, and a row that a standby lacks may have an input', async () => {
  const lost = takenOf(newId());
  expect((await tasksOf(primary).read([lost]))?.unreadable[0]).toMatchObject({
    error: expect.stringContaining('internal'),
  });
  expect((await tasksOf(standby).read([lost]))?.unreadable).toEqual([{ taken: lost }]);
  // A standby has the input of an older row.
  const old = takenOf(await inLedger());
  const read = await tasksOf(standby).read([old]);
  expect([read?.unreadable, read?.tasks.get(old)?.rows]).toEqual([[], ['1']]);
});

test('a row that reaches the server between the two statements is not lost', async () => {
  const taken = takenOf(await inLedger());
  const late = tasksOf(primary, { readTasks: async () => new Map() });
  expect((await late.read([taken]))?.unreadable).toEqual([{ taken }]);
});

test('a lost row fails also where the read of another row fails', async () => {
  const [lost, other] = [takenOf(newId()), takenOf(await inLedger())];
  // Two statements, because of the bytes.
  const tasks = tasksOf(primary, {
    async readTasks(ids) {
      if (!ids.includes(other.id)) return readTasks(primary, ids);
      await expect.poll(() => primary.idleCount).toBeGreaterThan(0);
      return readTasks(standby, ['no id']);
    },
  });
  const read = await tasks.read([lost, other]);
  expect(read?.unreadable).toEqual([
    { taken: lost, reason: expect.any(String), error: expect.any(String) },
    { taken: other },
  ]);
});

test('the tasks of one statement are parsed in turns of their own', async () => {
  const taken = Array.from({ length: 20 }, () => takenOf(newId(), 100_000));
  const tasks = tasksOf(primary, { readTasks: async (ids) => new Map(ids.map((id) => [id, TASK])) });
  let [turns, reads] = [0, true];
  const count = () => {
    turns += 1;
    if (reads) setImmediate(count);
  };
  setImmediate(count);
  const read = await tasks.read(taken);
  reads = false;
  expect([read?.tasks.size, turns >= taken.length]).toEqual([taken.length, true]);
});
