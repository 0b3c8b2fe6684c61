/** Tests the list of predictions, with and without outputs. */

import { problem } from '@millrace/shared/errors';
import { recordTerminal } from '@millrace/shared/ledger/ledger';
import { createPool } from '@millrace/shared/postgres/db';
import { beforeAll, expect, test } from 'vitest';
import { terminalRow } from '../ledger/rows.ts';
import { useSmallModels } from '../support/small-models.ts';

const MIB = 1_048_576;
const error = problem('inference_failed', 'The model raised an error.');
const millrace = useSmallModels(['echo']);

interface Item {
  id: string;
  status: string;
  output?: unknown;
  error: unknown;
}
const list = async (query: string) => {
  const { body, text } = await millrace.request<{ data: Item[]; next: string | null }>(
    `/v1/predictions?model=echo&${query}`,
  );
  return { ...body, bytes: text.length };
};
const outputOf = (characters: number) => JSON.stringify('x'.repeat(characters));

beforeAll(async () => {
  const pool = createPool({
    databaseUrl: millrace.env.DATABASE_URL as string,
    max: 1,
    statementTimeoutMs: 10_000,
    applicationName: 'list',
  });
  // Oldest first: three outputs of 1.5 MiB, an output of 6 MiB, and a failed prediction.
  const rows = [1.5 * MIB, 1.5 * MIB, 1.5 * MIB, 6 * MIB].map((characters, at) =>
    terminalRow({ model: 'echo', createdAt: Date.now() - 10_000 + at, result: outputOf(characters) }),
  );
  rows.push(
    terminalRow({
      model: 'echo',
      createdAt: Date.now() - 5_000,
      status: 'failed',
      result: JSON.stringify(error),
    }),
  );
  await recordTerminal(pool, rows);
  await pool.end();
});

test('the list omits outputs and shows errors', async () => {
  const page = await list('limit=100');
  expect(page.data).toHaveLength(5);
  expect(page.data.every((item) => !('output' in item))).toBe(true);
  expect(page.data[0]?.error).toEqual(error);
  expect(page.bytes).toBeLessThan(5_000);
});

test('the list has outputs on request, and a page ends where the outputs reach 4 MiB', async () => {
  const lengths: number[][] = [];
  let cursor: string | null = '';
  while (cursor !== null) {
    const page = await list(`limit=100&include=output${cursor ? `&cursor=${cursor}` : ''}`);
    lengths.push(page.data.map(({ output }) => (output === null ? 0 : (output as string).length)));
    cursor = page.next;
  }
  expect(lengths).toEqual([[0], [6 * MIB], [1.5 * MIB, 1.5 * MIB], [1.5 * MIB]]);
});

test('the list has the output of a promise that has ended in Redis but not yet in the ledger', async () => {
  const { body } = await millrace.predict('echo', { input: { x: [4, 2] } }, { prefer: 'respond-async' });
  await expect.poll(async () => (await millrace.request(`/v1/predictions/${body.id}`)).body.status).toBe('succeeded');
  const { output } = (await millrace.request(`/v1/predictions/${body.id}`)).body;
  const [first] = (await list('limit=1&include=output')).data;
  expect(first).toMatchObject({ id: body.id, status: 'succeeded', output });
});

test('the list refuses any other include', async () => {
  expect((await millrace.request('/v1/predictions?include=everything')).status).toBe(400);
});
