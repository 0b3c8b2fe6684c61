/**
 * Carries terminal states from Redis into the ledger: many rows a statement, webhook deliveries in the same transaction.
 * An entry leaves the stream once its rows are committed or set aside; while Postgres is away the stream waits. Reads and
 * statements are bounded by rows and by bytes. A large end, and an end that Postgres cannot write, is written on its own by
 * a second loop, so that no end waits behind it.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { RecordedEnd } from '@millrace/shared/ledger/ledger';
import type { TerminalRow } from '@millrace/shared/ledger/ledger-rows';
import type { Recorded } from '@millrace/shared/ledger/record-terminal';
import { terminalRowOf } from '@millrace/shared/ledger/terminal-row';
import { RecordedStates } from '@millrace/shared/live/recorded-states';
import { readState } from '@millrace/shared/live/state';
import type { LivePrediction, LiveStore } from '@millrace/shared/live/store';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { shardOfId } from '@millrace/shared/predictions/ids';
import { isTerminal } from '@millrace/shared/predictions/prediction';
import type { Connection } from '@millrace/shared/redis/connection';
import type { Keys } from '@millrace/shared/redis/keys';
import type { Logger } from 'pino';
import { type Entry, endsOf, partsOf, type SizedEnd } from './ends.ts';
import type { Room } from './make-room.ts';
import { type Claim, SetAside } from './set-aside.ts';
import { type Unwritten, type WriteDeps, writeRows } from './write-rows.ts';

const GROUP = 'recorder';
/** Entries of a stream in one read; lib.lua bounds the bytes of an entry. */
const ENTRIES = 64;
const BLOCK_MS = 2_000;
/** Rows and bytes of live states in one statement. */
const ROWS = 1_000;
const BYTES = 4 * 1_048_576;
/** A state that is larger is written on its own. */
const LARGE_BYTES = 65_536;
/** Rows of one claim: few, so that a claim is written well within its lease. */
const CLAIM_ROWS = 16;
const CLAIM_POLL_MS = 1_000;
/** An entry that a recorder took and did not finish in this time is taken by another: it has died. */
const ABANDONED_MS = 5_000;
const RETRY_MS = 250;
/** How long Redis keeps a small state that is recorded while memory is short: who waits for it reads it in this time. */
const TIGHT_TTL_MS = 5_000;
/** Pauses before the next attempt to write an end that failed alone; the last is used again and again. */
const AGAIN_MS = [1_000, 2_000, 4_000, 8_000, 30_000, 60_000];
/** After so many attempts an end is recorded without its output, if the output is large enough to be the reason. */
const OMIT_AFTER = 6;
const OMIT_BYTES = 262_144;
/**
 * From one read to the next. What ended meanwhile is written as one statement: at a few hundred a second one for each took
 * as much processor time as answering, from those who answered next.
 */
const PACE_MS = 25;

export interface RecorderDeps {
  /** For blocking reads; the recorder closes it. */
  reader: Connection;
  /** For everything else. */
  redis: Connection;
  keys: Keys;
  live: LiveStore;
  shards: readonly number[];
  consumer: string;
  /** How long Redis keeps what the ledger has, where it was kept longer for the recorder to read it. */
  liveTtlMs: number;
  /** Whether the memory of Redis is short. */
  room: Room;
  /** Pauses in place of AGAIN_MS; for tests. */
  againMs?: readonly number[];
  record(rows: TerminalRow[]): Promise<Recorded>;
  /** What the ledger has of predictions whose end it refused. */
  findEnds(ids: string[]): Promise<RecordedEnd[]>;
  /** Whether Postgres answers at all: tells a statement that fails from a server that is away. */
  postgresAnswers(): Promise<boolean>;
  /** Told of the deliveries that were committed. May not reject. */
  onDeliveries(deliveries: Recorded['deliveries']): Promise<void>;
  onRecorded(rows: number): void;
  /** Nothing is read while the clock of this process is wrong: another recorder takes the entries. */
  isClockRight(): boolean;
  /** Told of an end that was recorded without its output. */
  onOmitted(): void;
  log: Logger;
}

export interface Recorder {
  close(): Promise<void>;
}

type StreamReply = [stream: string, entries: Entry[]][] | null;

/** Undefined for a state that cannot be read, or whose options are no JSON. */
function rowOf(state: LivePrediction | undefined): TerminalRow | undefined {
  try {
    return state && terminalRowOf(state);
  } catch {
    return undefined;
  }
}

export function startRecorder(deps: RecorderDeps): Recorder {
  const { reader, redis, keys, live, shards, consumer, liveTtlMs, log, againMs = AGAIN_MS } = deps;
  const streams = shards.map((shard) => keys.ledger(shard));
  const setAside = new SetAside(redis, keys);
  const recordedStates = new RecordedStates(redis, keys, live);
  const closing = new AbortController();
  let groupsMade = false;
  let claimedAt = Number.NEGATIVE_INFINITY;
  /** Wakes the second loop. */
  let wake = () => {};

  const writing: WriteDeps = {
    record: deps.record,
    postgresAnswers: deps.postgresAnswers,
    closed: () => closing.signal.aborted,
    log,
    async onWritten({ applied, deliveries, refused }, rows) {
      deps.onRecorded(applied);
      if (deliveries.length > 0) await deps.onDeliveries(deliveries);
      if (refused.length > 0) await dropOverruled(deps, rows, refused);
    },
  };

  async function makeGroups(): Promise<void> {
    for (const stream of streams) {
      await redis.xgroup('CREATE', stream, GROUP, '0', 'MKSTREAM').catch((error: Error) => {
        if (!error.message.includes('BUSYGROUP')) throw error;
      });
    }
    groupsMade = true;
  }

  async function recordEntries(stream: string, entries: readonly Entry[]): Promise<void> {
    const ends = endsOf(entries);
    const unread = [...new Set(ends.filter(({ state }) => state === '').map(({ id }) => id))];
    const sizes = unread.length > 0 ? await live.sizes(unread) : [];
    const large = unread.filter((_, at) => (sizes[at] as number) > LARGE_BYTES);
    await setEndsAside(large, { afterMs: 0, tries: 0 });
    const small: SizedEnd[] = [
      ...ends.filter(({ state }) => state !== '').map((end) => ({ ...end, bytes: end.state.length })),
      ...unread.map((id, at) => ({ id, state: '', bytes: sizes[at] as number })),
    ].filter(({ bytes }) => bytes > 0 && bytes <= LARGE_BYTES);
    for (const part of partsOf(small, ROWS, BYTES)) await recordPart(part);
    const entryIds = entries.map(([id]) => id);
    await redis
      .pipeline()
      .xack(stream, GROUP, ...entryIds)
      .xdel(stream, ...entryIds)
      .exec();
  }

  async function recordPart(ends: readonly SizedEnd[]): Promise<void> {
    const rows: TerminalRow[] = [];
    const unread: string[] = [];
    for (const { id, state } of ends) {
      // A state that cannot be read, such as one of a version before 0.1.0, is read where it lives.
      const row = state === '' ? undefined : rowOf(readState(id, state));
      if (row) rows.push(row);
      else unread.push(id);
    }
    const read = await readRows(unread);
    const unwritten = await writeRows(writing, [...rows, ...read]);
    const failed = new Set(unwritten.map(({ row }) => row.id));
    if (failed.size > 0) {
      for (const { row, reason } of unwritten)
        log.error(
          { id: row.id, reason },
          'an end could not be recorded and is set aside: it is tried again on its own',
        );
      await setEndsAside([...failed], { afterMs: againMs[0] as number, tries: 1 });
    }
    // While memory is short a state whose end is recorded is hardly kept, whatever its size.
    const { tight } = deps.room;
    await live.shorten(
      (tight ? [...rows, ...read] : read).filter(({ id }) => !failed.has(id)),
      tight ? TIGHT_TTL_MS : liveTtlMs,
    );
  }

  /** The rows of ends that are still ends. Of what was opened again meanwhile the retry has recorded the end. */
  async function readRows(ids: readonly string[], { large = false } = {}): Promise<TerminalRow[]> {
    if (ids.length === 0) return [];
    const states = await live.readMany(ids, { large });
    return states.flatMap((state) => (state && isTerminal(state.status) ? (rowOf(state) ?? []) : []));
  }

  async function setEndsAside(ids: readonly string[], when: { afterMs: number; tries: number }): Promise<void> {
    if (ids.length === 0) return;
    for (const [shard, some] of Map.groupBy(ids, shardOfId)) await setAside.add(shard, some, when);
    wake();
  }

  /** Takes over what a recorder that died had read and not finished. */
  async function claimAbandoned(): Promise<void> {
    claimedAt = performance.now();
    for (const stream of streams) {
      const [, entries] = (await redis.xautoclaim(stream, GROUP, consumer, ABANDONED_MS, '0', 'COUNT', ENTRIES)) as [
        string,
        Entry[],
      ];
      const present = entries.filter(([, fields]) => fields);
      if (present.length > 0) await recordEntries(stream, present);
    }
  }

  async function readStreams(): Promise<void> {
    if (!groupsMade) await makeGroups();
    if (performance.now() - claimedAt > ABANDONED_MS) await claimAbandoned();
    const reply = (await reader.xreadgroup(
      'GROUP',
      GROUP,
      consumer,
      'COUNT',
      ENTRIES,
      'BLOCK',
      BLOCK_MS,
      'STREAMS',
      ...streams,
      ...streams.map(() => '>'),
    )) as StreamReply;
    const read = performance.now();
    for (const [stream, entries] of reply ?? []) await recordEntries(stream, entries);
    const early = PACE_MS - (performance.now() - read);
    if (reply !== null && early > 0) await pause(early);
  }

  async function recordClaims(): Promise<void> {
    const counts = await Promise.all(shards.map((shard) => redis.zcard(keys.setAside(shard))));
    let recorded = false;
    for (const [at, shard] of shards.entries()) {
      if (counts[at] === 0 || closing.signal.aborted) continue;
      const claim = await setAside.claim(shard, CLAIM_ROWS, BYTES);
      if (claim === null) continue;
      await recordClaim(claim);
      recorded = true;
    }
    if (!recorded) await Promise.race([pause(CLAIM_POLL_MS), new Promise<void>((resolve) => (wake = resolve))]);
  }

  async function recordClaim(claim: Claim): Promise<void> {
    const rows = await readRows(
      claim.ends.map(({ id }) => id),
      { large: true },
    );
    const unwritten = await writeRows(writing, rows, { split: false });
    const failed = new Map(unwritten.map((one) => [one.row.id, one]));
    for (const { id, tries } of claim.ends) {
      const one = failed.get(id);
      if (!one) continue;
      if (claim.ends.length === 1 && mayOmit(one, tries + 1) && (await recordWithoutOutput(one))) {
        failed.delete(id);
        continue;
      }
      // After a failure together each is tried alone at once.
      const afterMs = claim.ends.length > 1 ? 0 : (againMs[Math.min(tries, againMs.length - 1)] as number);
      log.error({ id, tries: tries + 1, reason: one.reason }, 'an end cannot be recorded; it is tried again');
      await setAside.again(claim, [id], { afterMs, tries: tries + 1 });
    }
    const written = rows.filter(({ id }) => !failed.has(id));
    await live.shorten(written, liveTtlMs);
    await recordedStates.add(claim.shard, written, sharedNow(), liveTtlMs);
    await setAside.done(
      claim,
      claim.ends.filter(({ id }) => !failed.has(id)).map(({ id }) => id),
    );
  }

  /** The promise and its webhooks are kept, though Postgres cannot hold the output. */
  async function recordWithoutOutput({ row, reason }: Unwritten): Promise<boolean> {
    const bytes = row.result.length;
    const without: TerminalRow = { ...row, result: row.status === 'succeeded' ? 'null' : row.result, task: '' };
    let unwritten = await writeRows(writing, [without], { split: false });
    if (unwritten[0]?.refused)
      unwritten = await writeRows(writing, [{ ...without, metadata: '', options: null }], { split: false });
    if (unwritten.length > 0) return false;
    log.error(
      { id: row.id, bytes, reason },
      'an end was recorded without its output: Postgres cannot store the output',
    );
    deps.onOmitted();
    return true;
  }

  const pause = (ms: number): Promise<void> => delay(ms, undefined, { signal: closing.signal }).catch(() => {});

  async function repeat(work: () => Promise<void>, text: string): Promise<void> {
    while (!closing.signal.aborted) {
      try {
        if (deps.isClockRight()) await work();
        else await pause(RETRY_MS);
      } catch (error) {
        if (closing.signal.aborted) return;
        // What was read and not recorded stays pending under this name, and is claimed again.
        if ((error as Error).message.includes('NOGROUP')) groupsMade = false;
        else log.warn({ err: error }, text);
        await pause(RETRY_MS);
      }
    }
  }

  const loops = Promise.all([
    repeat(readStreams, 'terminal states cannot be recorded'),
    repeat(recordClaims, 'ends that were set aside cannot be recorded'),
  ]);
  return {
    async close() {
      closing.abort();
      // A blocked read returns at the latest after BLOCK_MS; a batch under way is finished.
      reader.disconnect();
      await loops;
    },
  };
}

/** Whether an end is to be recorded without its output: Postgres refuses the data, or has failed on a large output for long. */
const mayOmit = ({ row, refused }: Unwritten, tries: number): boolean =>
  refused || (tries >= OMIT_AFTER && row.result.length >= OMIT_BYTES);

/**
 * The ledger refuses mostly what it has already. Where it has another end, since Redis lost its last moments, that end is
 * the one that the list, the feed and the webhooks tell: Redis must not tell a poll of another.
 */
async function dropOverruled(
  { live, findEnds }: RecorderDeps,
  rows: readonly TerminalRow[],
  refused: string[],
): Promise<void> {
  const ends = new Map((await findEnds(refused)).map((end) => [end.id, end]));
  const overruled = rows.filter(({ id, opening, completedAt }) => {
    const end = ends.get(id);
    return end && isTerminal(end.status) && !(end.opening === opening && end.completedAt === completedAt);
  });
  await live.drop(overruled);
}
