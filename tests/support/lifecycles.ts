/**
 * Lifecycles of predictions through the public API (ask, cancel, retry, several retries at once), and afterwards what the poll,
 * the list, the feed and the webhooks say of their ends. They must say the same.
 */
import { type Question, quick, slow } from '../chaos/models.ts';
import type { Receiver } from './receiver.ts';

export interface Told {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: what a body holds is what is compared.
  body: any;
}

export interface Doors {
  ask(path: string, request?: { method: string; body?: object }): Promise<Told>;
  receiver: Receiver;
  random(): number;
  /** Holds up the recorder, between what it has read and what it writes too, or lets it go on. */
  holdRecorder(held: boolean): void;
}

export type Step = 'cancel' | 'end' | 'retry' | 'retry three times at once';

/** One prediction, and what its client knows of it. */
export interface Played {
  id: string;
  path: string;
  /** How often it was opened: each opening has an end. */
  openings: number;
  /** A call failed, so that the client cannot know how often. */
  unsure: boolean;
}

export interface Disagreements {
  /** Predictions whose end in the list is not the one of the poll. */
  list: string[];
  /** Whose events are not one for each opening, in order, with the end of the poll as the last. */
  feed: string[];
  /** Whose webhooks are not one for each event. */
  webhook: string[];
}

const isEnded = ({ status, body }: Told): boolean => status === 200 && !['queued', 'running'].includes(body.status);

/** Fails in the model: its index is beyond the table. */
const failing = (n: number): Question => ({ model: 'lookup', input: { x: [4 + n] }, expected: undefined });

export function randomQuestion(n: number, random: () => number): Question {
  const kind = random();
  if (kind < 0.4) return failing(n);
  return kind < 0.8 ? slow(5 + random() * 30) : quick();
}

/** Steps that end and open a prediction again, up to five times. */
export function randomSteps(random: () => number): Step[] {
  const steps: Step[] = [];
  const rounds = 1 + Math.floor(random() * 5);
  for (let round = 0; round < rounds; round += 1) {
    steps.push(random() < 0.6 ? 'cancel' : 'end');
    steps.push(random() < 0.75 ? 'retry' : 'retry three times at once');
  }
  if (random() < 0.5) steps.push('cancel');
  return steps;
}

let lifecycles = 0;

/** Plays the steps on a new prediction. It may end before them, and is at its end in any case. */
export async function playLifecycle(doors: Doors, question: Question, steps: readonly Step[]): Promise<Played> {
  const { ask, receiver } = doors;
  lifecycles += 1;
  const path = `/200/lifecycle?n=${lifecycles}`;
  const body = { input: question.input, webhook: { url: receiver.url + path } };
  const post = () => ask(`/v1/models/${question.model}/predictions`, { method: 'POST', body });
  // 200: the same was answered before.
  const accepted = ({ status }: Told) => status === 202 || status === 200;
  let asked = await post();
  for (let tries = 1; !accepted(asked) && tries < 5; tries += 1) asked = await post();
  if (!accepted(asked)) throw new Error(`asked, it was answered ${asked.status}: ${JSON.stringify(asked.body)}`);
  const played: Played = { id: asked.body.id, path, openings: 1, unsure: false };
  for (const step of steps) await take(doors, played, step);
  await untilEnded(doors, played);
  return played;
}

async function take({ ask, ...doors }: Doors, played: Played, step: Step): Promise<void> {
  const post = (action: string) => ask(`/v1/predictions/${played.id}/${action}`, { method: 'POST' });
  if (step === 'end') return void (await untilEnded({ ask, ...doors }, played));
  const calls = step === 'retry three times at once' ? 3 : 1;
  const answers = await Promise.all(Array.from({ length: calls }, () => post(step === 'cancel' ? 'cancel' : 'retry')));
  const strange = answers.filter(({ status }) => status !== 200 && status !== 202 && status !== 409);
  if (strange.length > 0) played.unsure = true;
  // However many are accepted at once: they open it once.
  if (step !== 'cancel' && answers.some(({ status }) => status === 202 || status === 200)) played.openings += 1;
}

async function untilEnded({ ask }: Doors, { id }: Played): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!isEnded(await ask(`/v1/predictions/${id}?wait=5`)))
    if (performance.now() > deadline) throw new Error(`${id} did not end within a minute`);
}

/** Plays so many random lifecycles, some at once, while the recorder is held up again and again. */
export async function playRandomly(doors: Doors, count: number, atOnce: number): Promise<Played[]> {
  const all: Played[] = [];
  let started = 0;
  async function client(): Promise<void> {
    while (started < count) {
      started += 1;
      const n = started;
      doors.holdRecorder(doors.random() < 0.6);
      all.push(await playLifecycle(doors, randomQuestion(n, doors.random), randomSteps(doors.random)));
      doors.holdRecorder(doors.random() < 0.3);
    }
  }
  await Promise.all(Array.from({ length: atOnce }, client));
  doors.holdRecorder(false);
  return all;
}

/** What still disagrees once nothing is under way any more: compared again and again until nothing does, for `patienceMs`. */
export async function disagreements(
  doors: Doors,
  played: readonly Played[],
  patienceMs: number,
): Promise<Disagreements> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const found = await compare(doors, played);
    const sum = found.list.length + found.feed.length + found.webhook.length;
    if (sum === 0 || performance.now() > deadline) return found;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

async function compare(doors: Doors, played: readonly Played[]): Promise<Disagreements> {
  const { ask, receiver } = doors;
  const listed = new Map((await pages(ask, '/v1/predictions?limit=100')).map((one) => [one.id, one]));
  const events = Map.groupBy(await feed(ask), ({ data }) => data.id);
  const received = Map.groupBy(receiver.received, ({ path }) => path);
  const found: Disagreements = { list: [], feed: [], webhook: [] };
  for (const { id, path, openings, unsure } of played) {
    const { body: polled } = await ask(`/v1/predictions/${id}`);
    const { status, completed_at, attempts } = listed.get(id) ?? {};
    const end = (one: object) => JSON.stringify(one);
    const inPoll = end({ status: polled.status, completed_at: polled.completed_at, attempts: polled.attempts });
    const inList = end({ status, completed_at, attempts });
    if (inPoll !== inList) found.list.push(`${id}: ${inPoll} in the poll, ${inList} in the list`);

    const own = events.get(id) ?? [];
    const types = own.map(({ type }) => type).join();
    const ordered = own.every(({ data }, at) => data.opening === undefined || data.opening === at);
    const last = own.at(-1);
    const lastIsRight =
      last?.type === `prediction.${polled.status}` &&
      (last.data.opening === undefined || last.data.completed_at === polled.completed_at);
    if ((!unsure && own.length !== openings) || !ordered || !lastIsRight)
      found.feed.push(`${id}: ${openings} openings, the last ${polled.status}, and the events ${types}`);

    const got = new Set((received.get(path) ?? []).map(({ headers }) => headers['webhook-id']));
    if (got.size !== own.length || !own.every((event) => got.has(event.id)))
      found.webhook.push(`${id}: ${own.length} events, and ${got.size} webhooks`);
  }
  return found;
}

async function pages(ask: Doors['ask'], first: string): Promise<Told['body'][]> {
  const all: Told['body'][] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const { body } = await ask(cursor === '' ? first : `${first}&cursor=${encodeURIComponent(cursor)}`);
    all.push(...body.predictions);
    cursor = body.next;
  }
  return all;
}

async function feed(ask: Doors['ask']): Promise<Told['body'][]> {
  const all: Told['body'][] = [];
  for (let after = '0'; ; ) {
    const { body } = await ask(`/v1/events?limit=100&after=${after}`);
    all.push(...body.events);
    after = body.next;
    if (!body.has_more) return all;
  }
}
