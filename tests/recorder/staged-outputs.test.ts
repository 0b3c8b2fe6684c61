/** Tests outputs that are in the ledger and not in the live state: which run writes an output, and which end gets the output. */
import { findPrediction, insertPromises, markRetried, recordTerminal } from '@millrace/shared/ledger/ledger';
import { mayStageOutput, readStagedOutput, stageOutput } from '@millrace/shared/ledger/staged-outputs';
import { LiveStore, type Taken } from '@millrace/shared/live/store';
import type { Pool } from '@millrace/shared/postgres/db';
import type { LedgerOutput } from '@millrace/shared/predictions/prediction-state';
import { allReadOutputs, outputReaderName, RECORDER_GROUP } from '@millrace/shared/queue/output-readers';
import pino from 'pino';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { LedgerOutputs } from '../../apps/worker/src/inference/ledger-outputs.ts';
import { promiseRow, terminalRow } from '../ledger/rows.ts';
import { NOW, SHARD, useLive } from '../lifecycle/live-fixture.ts';
import { useTestDatabase } from '../support/test-database.ts';
import { connectTestRedis } from '../support/test-redis.ts';
import { pool, recordOf, type StartedRecorder } from './started.ts';

const database = useTestDatabase();
const f = useLive();
const log = pino({ level: 'silent' });
let db: Pool;
let recorder: StartedRecorder | undefined;
/** Subscribes as an API process does. */
const api = connectTestRedis();

beforeAll(async () => {
  db = pool(database.url);
  await api.subscribe(f.keys.registryChannel(), f.keys.outputsChannel());
});
afterEach(async () => {
  placed.length = 0;
  await recorder?.close();
  recorder = undefined;
});
afterAll(async () => {
  api.disconnect();
  await db.end();
});

const outputOf = (letter: string): string => JSON.stringify(letter.repeat(1_100_000));
const letterIn = (text: unknown): string => String(text).slice(1, 2);

/** A promise in both stores, and its first attempt. */
async function promised(given: { metadata?: string } = {}): Promise<{ id: string; taken: Taken }> {
  const { id } = await f.submit(given);
  await insertPromises(db, [promiseRow({ id, createdAt: NOW, expiresAt: NOW + 60_000 })]);
  return { id, taken: await take(id) };
}

async function take(id: string, worker = 'w1'): Promise<Taken> {
  const [taken] = await f.take([id], { worker });
  if (!taken) throw new Error('the prediction was not taken');
  return taken;
}

/** The stores of the outputs of this test. */
const placed: string[] = [];
const onPlaced = (store: string): void => void placed.push(store);
const outputs = () => new LedgerOutputs({ redis: f.redis, keys: f.keys, db, log, onPlaced });

/** Ends a prediction as a worker does. */
async function finish(
  taken: Taken,
  letter: string,
  write = (item: Parameters<LedgerOutputs['write']>[0]) => outputs().write(item),
) {
  const live = new LiveStore(f.redis, f.keys, { toLedger: write });
  const { id, attempt, state } = taken;
  const run = { status: 'succeeded', startedAt: NOW, batchedAt: NOW, inferenceMs: 1, batchSize: 1 } as const;
  const item = { id, attempt, state, result: outputOf(letter), ...run };
  return (await live.finish(SHARD, [item], { worker: 'w1', nowMs: NOW + 5 }))[0];
}

const letterOfState = async (id: string) => (await f.redis.getrange(f.keys.live(id), 10, 10)) || 'none';
const rowOf = (id: string) => findPrediction(db, 'default', id);
const staged = async (id: string) =>
  (
    await db.query(
      'SELECT staged_opening AS opening, staged_attempt AS attempt, left(staged_output, 2) AS output FROM predictions WHERE id = $1',
      [id],
    )
  ).rows[0];
const NOTHING = { opening: null, attempt: null, output: null };
const untilRecorded = (id: string) => expect.poll(async () => (await rowOf(id))?.status).toBe('succeeded');

test('an output of a promise is in the ledger before and after the record of the end, and the live state describes the output', async () => {
  const { id, taken } = await promised();
  expect(await finish(taken, 'a')).toBe('written');
  expect(await letterOfState(id)).toBe('l');
  expect(placed).toEqual(['postgres']);
  expect(await f.redis.strlen(f.keys.live(id))).toBeLessThan(500);
  const state = await f.live.read(id);
  expect(state).toMatchObject({ status: 'succeeded', result: '', attempts: 1 });
  const run = { id, opening: 0, attempt: 1 };
  const described = state?.ledgerOutput as LedgerOutput;
  expect(letterIn(await readStagedOutput(db, run, described))).toBe('a');
  expect(await readStagedOutput(db, { ...run, attempt: 2 }, described)).toBeUndefined();
  expect(await readStagedOutput(db, { ...run, opening: 1 }, described)).toBeUndefined();
  expect(await readStagedOutput(db, run, { bytes: described.bytes + 1 })).toBeUndefined();
  expect(await rowOf(id)).toMatchObject({ status: 'queued', result: '' });
  recorder = recordOf(f, db, { consumer: outputReaderName('r1') });
  await untilRecorded(id);
  expect((await rowOf(id))?.result === outputOf('a')).toBe(true);
  expect(await staged(id)).toEqual(NOTHING);
  expect(letterIn(await readStagedOutput(db, run, described))).toBe('a');
  // The recorder counts the end after the reply to its commit.
  await expect.poll(() => recorder?.ended.map((end) => end.id)).toEqual([id]);
  // Older processes cannot read the state, and find the row.
  await expect.poll(() => letterOfState(id)).toBe('none');
});

test('without an open row, or with a row of another opening, the live state has the output', async () => {
  const { id } = await f.submit();
  expect(await finish(await take(id), 'a')).toBe('written');
  expect(await letterOfState(id)).toBe('s');
  const row = promiseRow();
  await insertPromises(db, [row]);
  expect(await mayStageOutput(db, { id: row.id, opening: 0 })).toBe(true);
  expect(await mayStageOutput(db, { id: row.id, opening: 1 })).toBe(false);
});

test('a worker that dies between the two writes loses nothing: the next attempt ends, and the dead attempt is refused', async () => {
  const { id, taken } = await promised();
  const dying = finish(taken, 'a', async (item) => {
    await outputs().write(item);
    throw new Error('the worker was killed');
  });
  await expect(dying).rejects.toThrow('was killed');
  expect([await letterOfState(id), await staged(id)]).toEqual(['r', { opening: 0, attempt: 1, output: '"a' }]);
  const second = await take(id, 'w2');
  expect(second.attempt).toBe(2);
  // The first worker was only slow.
  expect(await finish(taken, 'a')).toBe('fenced');
  expect(await finish(second, 'b')).toBe('written');
  expect(await letterOfState(id)).toBe('s');
  recorder = recordOf(f, db, { consumer: outputReaderName('r1') });
  await untilRecorded(id);
  const row = await rowOf(id);
  expect([row?.attempts, row?.result === outputOf('b'), await staged(id)]).toEqual([2, true, NOTHING]);
  expect(await finish(taken, 'a')).not.toBe('written');
  expect((await rowOf(id))?.result === outputOf('b')).toBe(true);
});

test('a canceled prediction stays canceled, and its output is removed', async () => {
  const { id, taken } = await promised();
  const end = { tenant: 'default', status: 'canceled', nowMs: NOW + 1 } as const;
  const verdict = await finish(taken, 'a', async (item) => {
    const output = await outputs().write(item);
    await f.live.end(id, end);
    return output;
  });
  expect([verdict, await letterOfState(id)]).toEqual(['cancelled', 'c']);
  recorder = recordOf(f, db, { consumer: outputReaderName('r1') });
  await expect.poll(async () => (await rowOf(id))?.status).toBe('canceled');
  expect(await staged(id)).toEqual(NOTHING);
  // A retry has its own output.
  expect(await stageOutput(db, { id, opening: 0, attempt: 1 }, Buffer.from('"a"'))).toBe(false);
  await markRetried(db, { tenant: 'default', id, opening: 0, nowMs: NOW + 10 });
  expect(await stageOutput(db, { id, opening: 0, attempt: 2 }, Buffer.from('"a"'))).toBe(false);
  expect(await stageOutput(db, { id, opening: 1, attempt: 2 }, Buffer.from('"b"'))).toBe(true);
  expect(await stageOutput(db, { id, opening: 1, attempt: 3 }, Buffer.from('"c"'))).toBe(false);
});

test('a follower gets the output: the state of a leader with followers has the output', async () => {
  const flight = 'f'.repeat(64);
  // A prediction follows only a leader whose worker lives.
  await f.beat('w1');
  const { id } = await f.submit({ flight });
  await insertPromises(db, [promiseRow({ id, createdAt: NOW, expiresAt: NOW + 60_000 })]);
  const taken = await take(id);
  let follower = '';
  await finish(taken, 'a', async (item) => {
    const output = await outputs().write(item);
    follower = (await f.submit({ flight })).id;
    return output;
  });
  expect([await letterOfState(id), await letterOfState(follower)]).toEqual(['s', 's']);
  expect(letterIn((await f.live.readWhole(follower))?.result)).toBe('a');
  // A prediction that comes after the end computes its output itself.
  const later = { flight: 'e'.repeat(64) };
  const leader = await f.submit(later);
  await insertPromises(db, [promiseRow({ id: leader.id, createdAt: NOW, expiresAt: NOW + 60_000 })]);
  await finish(await take(leader.id), 'a');
  expect(await letterOfState(leader.id)).toBe('l');
  expect((await f.submit(later)).submitted.outcome).toBe('lead');
});

test('an end never gets the output of another run', async () => {
  const row = promiseRow();
  await insertPromises(db, [row]);
  await stageOutput(db, { id: row.id, opening: 0, attempt: 1 }, Buffer.from('"abc"'));
  const end = terminalRow({ ...row, result: '' });
  const record = (given: object) => recordTerminal(db, [{ ...end, ledgerOutput: { bytes: 5, checksum: 0 }, ...given }]);
  for (const other of [{ attempts: 2 }, { opening: 1 }, { ledgerOutput: { bytes: 6, checksum: 0 } }])
    expect(await record(other)).toMatchObject({ applied: 0, refused: [row.id] });
  expect(await rowOf(row.id)).toMatchObject({ status: 'queued', result: '' });
  // Beside the end of another prediction.
  const beside = terminalRow();
  const both = await recordTerminal(db, [{ ...end, ledgerOutput: { bytes: 5, checksum: 0 } }, beside]);
  expect(both).toMatchObject({ applied: 2, refused: [] });
  expect((await rowOf(row.id))?.result).toBe('"abc"');
  expect((await rowOf(beside.id))?.result).toBe('{"output":42}');
  expect(await record({})).toMatchObject({ applied: 0, refused: [row.id] });
  expect(
    await recordTerminal(db, [{ ...terminalRow({ result: '' }), ledgerOutput: { bytes: 5, checksum: 0 } }]),
  ).toMatchObject({ applied: 0 });
});

test('an output that the ledger lost is computed again', async () => {
  const { id, taken } = await promised();
  await finish(taken, 'a');
  await db.query(
    'UPDATE predictions SET staged_output = NULL, staged_opening = NULL, staged_attempt = NULL WHERE id = $1',
    [id],
  );
  recorder = recordOf(f, db, { consumer: outputReaderName('r1') });
  // The reconciler restores an open promise that Redis does not have.
  await expect.poll(() => letterOfState(id)).toBe('none');
  expect((await rowOf(id))?.status).toBe('queued');
});

test('beside a process of an older version, the live state has the output', async () => {
  expect(await allReadOutputs(f.redis, f.keys)).toBe(true);
  const older = connectTestRedis();
  await older.subscribe(f.keys.registryChannel());
  const { id, taken } = await promised();
  await finish(taken, 'a');
  expect([await letterOfState(id), await staged(id)]).toEqual(['s', NOTHING]);
  older.disconnect();
  await expect.poll(() => allReadOutputs(f.redis, f.keys)).toBe(true);
  const stream = f.keys.ledger(SHARD);
  await f.redis.xgroup('CREATE', stream, RECORDER_GROUP, '$', 'MKSTREAM').catch(() => {});
  await f.redis.xgroup('CREATECONSUMER', stream, RECORDER_GROUP, 'older');
  expect(await allReadOutputs(f.redis, f.keys)).toBe(false);
  await f.redis.xgroup('DELCONSUMER', stream, RECORDER_GROUP, 'older');
  expect(await allReadOutputs(f.redis, f.keys)).toBe(true);
});

test('while Postgres does not respond, the live state has the output at once', async () => {
  const away = pool('postgres://u:p@127.0.0.1:1/none', 200);
  const { id, taken } = await promised();
  const writer = new LedgerOutputs({ redis: f.redis, keys: f.keys, db: away, log, onPlaced });
  expect(await finish(taken, 'a', (item) => writer.write(item))).toBe('written');
  expect(letterIn((await f.live.readWhole(id))?.result)).toBe('a');
  expect(placed).toEqual(['queue']);
  await away.end();
});
