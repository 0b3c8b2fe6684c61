/**
 * Runs lifecycles of predictions through the public API (request, cancel, retry, simultaneous retries) and then
 * compares the ends in single reads, the list, the feed and the webhooks. All four must agree.
 */
import { quick, slow, type TestRequest } from '../chaos/models.ts';
import type { Receiver } from './receiver.ts';

export interface ApiResponse {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: the members of a body are compared.
  body: any;
}

export interface LifecycleDeps {
  call(path: string, request?: { method: string; body?: object }): Promise<ApiResponse>;
  receiver: Receiver;
  random(): number;
  /** Pauses the recorder, also between its read and its write, or lets the recorder continue. */
  holdRecorder(held: boolean): void;
}

export type Step = 'cancel' | 'end' | 'retry' | 'retry three times at once';

/** One prediction with the knowledge of its client. */
export interface Played {
  id: string;
  path: string;
  /** The least number of openings. Each opening has an end. */
  openings: number;
  /** The most openings beyond `openings`: of several retries at once, a late retry can find that the opening of an earlier retry has ended. */
  late: number;
  /** A call failed, so the client cannot know the number of openings. */
  unsure: boolean;
}

export interface Disagreements {
  /** Predictions whose end in the list differs from the end in a single read. */
  list: string[];
  /** Predictions without exactly one event per opening, in order, or whose last event differs from the single read. */
  feed: string[];
  /** Predictions without exactly one webhook per event. */
  webhook: string[];
}

const isEnded = ({ status, body }: ApiResponse): boolean =>
  status === 200 && !['queued', 'running'].includes(body.status);

/** The model fails: the index is outside the table. */
const failing = (n: number): TestRequest => ({ model: 'lookup', input: { x: [4 + n] }, expected: undefined });

export function randomRequest(n: number, random: () => number): TestRequest {
  const kind = random();
  if (kind < 0.4) return failing(n);
  return kind < 0.8 ? slow(5 + random() * 30) : quick();
}

/** Steps that end a prediction and open the prediction again, up to five times. */
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

/** Runs the steps on a new prediction, which can end earlier. The prediction has ended when the promise resolves. */
export async function playLifecycle(
  deps: LifecycleDeps,
  request: TestRequest,
  steps: readonly Step[],
): Promise<Played> {
  const { call, receiver } = deps;
  lifecycles += 1;
  const path = `/200/lifecycle?n=${lifecycles}`;
  const body = { input: request.input, webhook: { url: receiver.url + path } };
  const post = () => call(`/v1/models/${request.model}/predictions`, { method: 'POST', body });
  // 200: an equal request has a result already.
  const accepted = ({ status }: ApiResponse) => status === 202 || status === 200;
  let created = await post();
  for (let tries = 1; !accepted(created) && tries < 5; tries += 1) created = await post();
  if (!accepted(created))
    throw new Error(`the prediction was refused with ${created.status}: ${JSON.stringify(created.body)}`);
  const played: Played = { id: created.body.id, path, openings: 1, late: 0, unsure: false };
  for (const step of steps) await take(deps, played, step);
  await untilEnded(deps, played);
  return played;
}

async function take({ call, ...deps }: LifecycleDeps, played: Played, step: Step): Promise<void> {
  const post = (action: string) => call(`/v1/predictions/${played.id}/${action}`, { method: 'POST' });
  if (step === 'end') return void (await untilEnded({ call, ...deps }, played));
  const calls = step === 'retry three times at once' ? 3 : 1;
  const responses = await Promise.all(
    Array.from({ length: calls }, () => post(step === 'cancel' ? 'cancel' : 'retry')),
  );
  const strange = responses.filter(({ status }) => status !== 200 && status !== 202 && status !== 409);
  if (strange.length > 0) played.unsure = true;
  if (step === 'cancel') return;
  // Accepted retries open the prediction once, unless one arrives after the end of the opening.
  const accepted = responses.filter(({ status }) => status === 202 || status === 200).length;
  if (accepted > 0) played.openings += 1;
  played.late += Math.max(0, accepted - 1);
}

async function untilEnded({ call }: LifecycleDeps, { id }: Played): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!isEnded(await call(`/v1/predictions/${id}?wait=5`)))
    if (performance.now() > deadline) throw new Error(`${id} did not end within a minute`);
}

/** Runs `count` random lifecycles, `atOnce` at the same time, while the recorder is paused repeatedly. */
export async function playRandomly(deps: LifecycleDeps, count: number, atOnce: number): Promise<Played[]> {
  const all: Played[] = [];
  let started = 0;
  async function client(): Promise<void> {
    while (started < count) {
      started += 1;
      const n = started;
      deps.holdRecorder(deps.random() < 0.6);
      all.push(await playLifecycle(deps, randomRequest(n, deps.random), randomSteps(deps.random)));
      deps.holdRecorder(deps.random() < 0.3);
    }
  }
  await Promise.all(Array.from({ length: atOnce }, client));
  deps.holdRecorder(false);
  return all;
}

/**
 * Returns the disagreements that remain after all calls have ended. Compares repeatedly for `patienceMs`, until no
 * disagreement is left.
 */
export async function disagreements(
  deps: LifecycleDeps,
  played: readonly Played[],
  patienceMs: number,
): Promise<Disagreements> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const found = await compare(deps, played);
    const sum = found.list.length + found.feed.length + found.webhook.length;
    if (sum === 0 || performance.now() > deadline) return found;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

async function compare(deps: LifecycleDeps, played: readonly Played[]): Promise<Disagreements> {
  const { call, receiver } = deps;
  const listed = new Map((await pages(call, '/v1/predictions?limit=100')).map((one) => [one.id, one]));
  const events = Map.groupBy(await feed(call), ({ data }) => data.id);
  const received = Map.groupBy(receiver.received, ({ path }) => path);
  const found: Disagreements = { list: [], feed: [], webhook: [] };
  for (const { id, path, openings, late, unsure } of played) {
    const { body: polled } = await call(`/v1/predictions/${id}`);
    const { status, completed_at, attempt } = listed.get(id) ?? {};
    const end = (one: object) => JSON.stringify(one);
    const inPoll = end({ status: polled.status, completed_at: polled.completed_at, attempt: polled.attempt });
    const inList = end({ status, completed_at, attempt });
    if (inPoll !== inList) found.list.push(`${id}: ${inPoll} in the poll, ${inList} in the list`);

    const own = events.get(id) ?? [];
    const types = own.map(({ type }) => type).join();
    const ordered = own.every(({ data }, at) => data.opening === undefined || data.opening === at);
    const last = own.at(-1);
    const lastIsRight =
      last?.type === `prediction.${polled.status}` &&
      (last.data.opening === undefined || last.data.completed_at === polled.completed_at);
    const isCount = own.length >= openings && own.length <= openings + late;
    if ((!unsure && !isCount) || !ordered || !lastIsRight)
      found.feed.push(`${id}: ${openings} openings, the last ${polled.status}, and the events ${types}`);

    const got = new Set((received.get(path) ?? []).map(({ headers }) => headers['webhook-id']));
    if (got.size !== own.length || !own.every((event) => got.has(event.id)))
      found.webhook.push(`${id}: ${own.length} events, and ${got.size} webhooks`);
  }
  return found;
}

async function pages(call: LifecycleDeps['call'], first: string): Promise<ApiResponse['body'][]> {
  const all: ApiResponse['body'][] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const { body } = await call(cursor === '' ? first : `${first}&cursor=${encodeURIComponent(cursor)}`);
    all.push(...body.data);
    cursor = body.next;
  }
  return all;
}

async function feed(call: LifecycleDeps['call']): Promise<ApiResponse['body'][]> {
  const all: ApiResponse['body'][] = [];
  for (let cursor = '0'; ; ) {
    const { body } = await call(`/v1/events?limit=100&cursor=${cursor}`);
    all.push(...body.data);
    cursor = body.next;
    if (!body.has_more) return all;
  }
}
