import { afterAll, expect, test } from 'vitest';
import { startClientThread } from '../support/client-thread.ts';
import { longestTurnMs } from '../support/longest-turn.ts';
import { useMillrace } from '../support/millrace.ts';

const millrace = useMillrace({ models: ['drug-interaction'] });
const client = startClientThread();
afterAll(() => client.close());

const HELD_MS = 50;

/** A structure of 134 atoms with eight rings, which no other number gives. */
const heavy = (at: number): string => {
  const tail = at.toString(2).padStart(10, '0').replaceAll('0', 'N').replaceAll('1', 'O');
  return `${'C1CC(C)C(C2CCCCC2)C1'.repeat(4)}${'C'.repeat(76)}${tail.split('').join('C')}`.slice(0, 300);
};

const post = (body: unknown) =>
  client.post(`${millrace.url}/v1/models/drug-interaction/predictions`, JSON.stringify(body));

/** Repeats the work, because earlier garbage is collected in some tries. */
async function leastTurnMs(work: (at: number) => Promise<unknown>): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let at = 0; at < 3 && least >= HELD_MS; at += 1) least = Math.min(least, await longestTurnMs(() => work(at)));
  return least;
}

test('60 heavy structures in one request hold no turn of the event loop', { timeout: 180_000 }, async () => {
  const inputs = (from: number) =>
    Array.from({ length: 30 }, (_, at) => ({
      drug_a: { smiles: heavy(from + 2 * at) },
      drug_b: { smiles: heavy(from + 2 * at + 1) },
    }));
  const work = async (at: number) => {
    const { status, text } = await post({ inputs: inputs(at * 60) });
    expect(`${status} ${text.slice(0, 300)}`).toMatch(/^202 /);
  };
  expect(await leastTurnMs(work)).toBeLessThan(HELD_MS);
});

test('names that no drug has hold no turn of the event loop, and each has its fault with near names', {
  timeout: 180_000,
}, async () => {
  const inputs = Array.from({ length: 3_000 }, (_, at) => ({ drug_a: `Warfrin ${at}`, drug_b: 'aspirin' }));
  const work = async () => {
    const { status, text } = await post({ inputs });
    expect(status).toBe(422);
    const { errors } = JSON.parse(text);
    expect(errors).toHaveLength(100);
    expect(errors[7]).toMatchObject({ pointer: '/inputs/7/drug_a', suggestions: expect.arrayContaining(['Warfarin']) });
  };
  expect(await leastTurnMs(work)).toBeLessThan(HELD_MS);
});

test('10,000 pairs of names hold no turn of the event loop', { timeout: 180_000 }, async () => {
  const names = ['Warfarin', 'aspirin', 'Fluconazole', 'metformin', 'ibuprofen'];
  const inputs = Array.from({ length: 10_000 }, (_, at) => ({
    drug_a: names[at % 5],
    drug_b: names[(at + 1 + (at % 3)) % 5],
  }));
  const work = async () => {
    const { status, text } = await post({ inputs });
    expect(`${status} ${text.slice(0, 300)}`).toMatch(/^20[02] /);
  };
  // The first requests run in a thread, until the handler has proved fast for names.
  await work();
  expect(await leastTurnMs(work)).toBeLessThan(HELD_MS);
});
