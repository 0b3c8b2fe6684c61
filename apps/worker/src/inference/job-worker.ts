/**
 * A BullMQ worker that gets a job from an empty queue in one round trip. BullMQ waits for the marker of the queue (BZPOPMIN), and then
 * sends its script `moveToActive`. Here the script is sent behind the wait on the same connection: Redis runs the script at the moment
 * at which the marker arrives. A second script returns whether the job was alone. BullMQ then requests no job from the empty queue.
 *
 * A job that Redis moves to this worker while the connection breaks is under a lock of this worker, as after any lost reply of
 * `moveToActive`: rolled-back.ts or heartbeat.ts frees the lock.
 */
import { Socket } from 'node:net';
import { afterMicrotasks } from '@millrace/shared/process/turn';
import type { PredictJob } from '@millrace/shared/queue/job';
import { isCluster } from '@millrace/shared/redis/connection';
import {
  type BackendFactory,
  createRedisBackend,
  type Job,
  type JobJson,
  type Processor,
  RedisQueueBackend,
  Worker,
  type WorkerOptions,
} from 'bullmq';

/** The reply to the script comes together with the end of the wait. After this time the connection has failed. */
const LATE_MS = 2_000;

/** An attempt to connect follows a broken connection within half a second (`retryStrategy`). */
const RECONNECT_MS = 1_000;

/**
 * KEYS: the lists and sets of waiting jobs, and the marker. Returns 1 if no job waits. A marker without a job is deleted, because the
 * marker would end the next wait. Every script that adds a job sets the marker.
 */
const ALONE = `
if redis.call('EXISTS', unpack(KEYS, 1, 4)) > 0 then return 0 end
redis.call('ZREM', KEYS[5], '0')
return 1`;
const ALONE_KEYS = 5;

/** The reply of `moveToActive`: without `data` no job waited. */
interface Fetched {
  data: JobJson | undefined;
  id: string;
  token: string;
  /** Whether no other job waited. */
  isAlone: boolean;
}

interface Marker {
  member: string;
  score: number;
}

/** The marker of a job that can run now. */
const NOW: Marker = { member: '0', score: 0 };

type Client = Awaited<NonNullable<RedisQueueBackend['blockingClient']>>;

/** The jobs that were fetched behind a wait. */
class Fetches {
  readonly #workerId: string;
  #tokens = 0;
  #fetched: Fetched | undefined;
  /** Whether the queue was empty after the last job. */
  #isAlone = false;
  #isWaiting = false;

  /** Lock tokens begin with `workerId`. */
  constructor(workerId: string) {
    this.#workerId = workerId;
  }

  readonly backend: BackendFactory<RedisQueueBackend> = (name, options, connections) => {
    const own = createRedisBackend(name, options, connections);
    const { blockingConnection, keys } = own;
    // The nodes of a cluster can run the commands of one connection in another order.
    if (blockingConnection === undefined || isCluster(options.connection)) return own;
    const toKey = (type: string) => own.toKey(type);
    // Runs the scripts of BullMQ on the connection of the waits.
    const behind = new RedisQueueBackend(blockingConnection, name, keys, toKey, options, undefined, false);
    let client: Client | undefined;
    own.blockingClient?.then(
      (opened) => {
        client = withAlone(opened);
      },
      () => {},
    );
    const waitForJob = own.waitForJob.bind(own);
    const moveToCompleted = own.moveToCompleted.bind(own);
    const disconnectBlocking = own.disconnectBlocking.bind(own);
    return Object.assign(own, {
      // BullMQ waits for the end of the connection. Between two attempts to connect, ioredis stops and reports no end.
      disconnectBlocking: async (wait?: boolean) => {
        if (client?.status === 'reconnecting') await nextAttempt(client);
        await disconnectBlocking(wait);
      },
      waitForJob: (seconds: number) =>
        this.#wait(
          () => {
            writeLater(client);
            return waitForJob(seconds);
          },
          () => this.#fetch(behind, client),
        ),
      moveToCompleted: (...[job, value, keep, token, next]: Parameters<typeof moveToCompleted>) =>
        // While this worker waits for a marker, no job waits.
        moveToCompleted(job, value, keep, token, next && !this.#isWaiting),
    });
  };

  /** The next job as far as this worker knows the job without a command; undefined when BullMQ must send a request. */
  take(): Pick<Fetched, 'data' | 'id' | 'token'> | undefined {
    const fetched = this.#fetched;
    const wasAlone = this.#isAlone;
    this.#fetched = undefined;
    this.#isAlone = fetched?.data !== undefined && fetched.isAlone;
    if (fetched !== undefined) return fetched;
    return wasAlone ? { data: undefined, id: '', token: '' } : undefined;
  }

  async #wait(wait: () => Promise<Marker | null>, fetch: () => Promise<Fetched | undefined>): Promise<Marker | null> {
    this.#isWaiting = true;
    this.#isAlone = false;
    const waiting = wait();
    const fetching = fetch();
    try {
      const marker = await waiting;
      const fetched = await inTime(fetching);
      // The script ran with the time at which the wait began. A delayed job can be due since then, so BullMQ sends one more request.
      if (fetched?.data !== undefined || marker?.score === 0) this.#fetched = fetched;
      return fetched?.data === undefined ? marker : NOW;
    } catch (error) {
      this.#fetched = await inTime(fetching);
      if (this.#fetched?.data === undefined) throw error;
      return NOW;
    } finally {
      this.#isWaiting = false;
    }
  }

  /** Sends the scripts behind the wait. Never rejects: BullMQ requests the job after a failure. */
  async #fetch(behind: RedisQueueBackend, client: Client | undefined): Promise<Fetched | undefined> {
    if (client === undefined) return undefined;
    try {
      // The wait is sent in the next microtask.
      await undefined;
      this.#tokens += 1;
      const token = `${this.#workerId}:w${this.#tokens}`;
      const moving = behind.moveToActive(token);
      const counting = behind.client.then(() => client.runCommand('mrAlone', aloneKeys(behind)));
      counting.catch(() => {});
      const [data, id, limitMs, delayUntil] = await moving;
      if (!data && (limitMs || delayUntil)) return undefined;
      const isAlone = await counting.catch(() => 0);
      return { data: data ?? undefined, id, token, isAlone: isAlone === 1 };
    } catch {
      return undefined;
    }
  }
}

/** Resolves when an attempt to connect begins, or after RECONNECT_MS. */
async function nextAttempt(client: Client): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  client.once('connecting', resolve);
  const timer = setTimeout(resolve, RECONNECT_MS);
  await promise;
  clearTimeout(timer);
}

function withAlone(client: Client): Client {
  client.defineCommand('mrAlone', { numberOfKeys: ALONE_KEYS, lua: ALONE });
  return client;
}

function aloneKeys({ keys: { wait, prioritized, delayed, paused, marker } }: RedisQueueBackend): unknown[] {
  return [wait, prioritized, delayed, paused, marker];
}

/**
 * Writes the commands of this turn to the connection at the end of the turn, with one call of the system. The commands for the present
 * job are then written first.
 */
function writeLater(client: Client | undefined): void {
  const socket: unknown = client && Reflect.get(client, 'stream');
  if (!(socket instanceof Socket)) return;
  socket.cork();
  afterMicrotasks(() => setImmediate(() => socket.uncork()));
}

/** Resolves to undefined if `fetching` takes longer than LATE_MS. */
async function inTime(fetching: Promise<Fetched | undefined>): Promise<Fetched | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), LATE_MS);
  });
  try {
    return await Promise.race([fetching, late]);
  } finally {
    clearTimeout(timer);
  }
}

interface JobWorkerOptions {
  options: WorkerOptions;
  workerId: string;
}

export class JobWorker extends Worker<PredictJob> {
  readonly #fetches: Fetches;

  /** `workerId`: the beginning of the lock tokens. */
  constructor(model: string, process: Processor<PredictJob>, { options, workerId }: JobWorkerOptions) {
    const fetches = new Fetches(workerId);
    super(model, process, options, fetches.backend);
    this.#fetches = fetches;
  }

  protected override async moveToActive(token: string, name?: string): Promise<Job<PredictJob>> {
    const known = this.#fetches.take();
    if (known === undefined) return super.moveToActive(token, name);
    return this.nextJobFromJobData(known.data, known.id, known.token);
  }
}
