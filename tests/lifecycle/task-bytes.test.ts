import { terminalRowOf } from '@millrace/shared/ledger/terminal-row';
import { readTask, storedTask, type Task, textOfTask } from '@millrace/shared/predictions/task';
import { tensorRowBytes } from '@millrace/shared/tensors/tensor-bytes';
import { describe, expect, test } from 'vitest';
import { NOW, useLive } from './live-fixture.ts';

const f = useLive();

/** A task with every byte in its row, also the separator of the fields and bytes that are not UTF-8. */
function taskOf(length: number): { task: Task; stored: Buffer } {
  const data = Uint8Array.from({ length }, (_, at) => at);
  const row = tensorRowBytes({ x: { dtype: 'uint8', dims: [1, length], data } });
  const task: Task = { shape: 'tensors', rows: [row], keys: ['e'.repeat(64)], digest: 'd'.repeat(64), epoch: 0 };
  return { task, stored: storedTask(task, true) as Buffer };
}

const metadata = '{"größe":"ü"}';

// Each length is read in another way: at once, with a second read, and in pieces.
describe.each([256, 20_000, 80_000, 1_500_000])('a prediction with a task of %d bytes', (length) => {
  const { task, stored } = taskOf(length);

  test('is read, taken with its task, and finished', async () => {
    const { id } = await f.submit({ task: stored, metadata });
    expect(await f.live.read(id)).toMatchObject({ status: 'queued', metadata, result: '' });
    expect((await f.live.heads([id]))[0]).toMatchObject({ status: 'queued', metadata });
    const [taken] = await f.take([id]);
    expect(taken && readTask(taken.task)).toEqual(task);
    expect((await f.live.read(id))?.status).toBe('running');
    expect(taken && (await f.finish(taken, { result: '{"größe":1}' }))).toBe('written');
    expect(await f.live.read(id)).toMatchObject({ status: 'succeeded', result: '{"größe":1}', metadata, task: '' });
  });

  test('keeps its task through a failure and a retry, and has the text of its task for the ledger', async () => {
    const { id } = await f.submit({ task: stored });
    const [taken] = await f.take([id]);
    if (taken) await f.finish(taken, { status: 'failed', result: '{"code":"inference_failed"}' });
    const state = await f.live.readWhole(id);
    expect(state && terminalRowOf(state)).toMatchObject({ status: 'failed', task: textOfTask(stored) });
    expect((await f.live.readMany([id], { large: true }))[0]?.task).toEqual(stored);
    const again = { id, tenant: 'default', job: `p-${id}-1`, opening: 1, expiresAt: NOW + 60_000, nowMs: NOW };
    expect(await f.live.retry(again)).toMatchObject({ outcome: 'queued' });
    const [retaken] = await f.take([id]);
    expect(retaken && readTask(retaken.task)).toEqual(task);
  });

  test('runs on for its followers after it was canceled', async () => {
    const flight = `bytes-${length}`;
    const { id } = await f.submit({ task: stored, flight });
    const follower = await f.submit({ task: stored, flight });
    await f.live.end(id, { tenant: 'default', status: 'canceled', nowMs: NOW });
    const [taken] = await f.take([id]);
    expect(taken && readTask(taken.task)).toEqual(task);
    if (taken) await f.finish(taken, { result: '1' });
    expect(await f.live.read(follower.id)).toMatchObject({ status: 'succeeded', result: '1' });
    expect(await f.live.read(id)).toMatchObject({ status: 'canceled' });
  });

  test('ends with a long result', async () => {
    const { id } = await f.submit({ task: stored });
    const [taken] = await f.take([id]);
    const result = `"${'x'.repeat(300_000)}"`;
    if (taken) await f.finish(taken, { result });
    const state = await f.live.readWhole(id);
    expect([state?.status, String(state?.result) === result]).toEqual(['succeeded', true]);
  });
});

test('every shortened state of bytes is unreadable, or complete except for its task', async () => {
  const { stored } = taskOf(64);
  const { id } = await f.submit({ task: stored, metadata });
  const key = f.keys.live(id);
  const whole = await f.redis.getBuffer(key);
  const read = await f.live.read(id);
  for (let length = 1; whole && length < whole.length; length += 7) {
    await f.redis.set(key, whole.subarray(0, length));
    const some = await f.live.read(id);
    if (some) expect({ ...some, task: '' }).toEqual({ ...read, task: '' });
  }
});
