/**
 * Carries terminal states from Redis into the ledger: many rows a statement, webhook deliveries in the same transaction.
 * An entry leaves the stream once its rows are committed; while Postgres is away the stream waits.
 */

import type { Keys } from '@millrace/shared/keys';
import type { RecordedEnd } from '@millrace/shared/ledger';
import type { TerminalRow } from '@millrace/shared/ledger-rows';
import { parseState } from '@millrace/shared/live/state';
import type { LiveStore } from '@millrace/shared/live/store';
import { terminalRowOf } from '@millrace/shared/live/terminal-row';
import { isTerminal } from '@millrace/shared/prediction';
import type { Recorded } from '@millrace/shared/record-terminal';
import type { Connection } from '@millrace/shared/redis';
import type { Logger } from 'pino';

const GROUP = 'recorder';
/** Entries in one read; each holds the predictions of one engine batch. */
const ENTRIES = 64;
const BLOCK_MS = 2_000;
/** Rows in one statement. */
const ROWS = 1_000;
/** An entry that a recorder took and did not finish in this time is taken by another: it has died. */
const ABANDONED_MS = 5_000;
const RETRY_MS = 250;
/**
 * From one read to the next. What ended meanwhile is written as one statement: at a few hundred a second one for each took
 * as much processor time as answering, from those who answered next.
 */
const PACE_MS = 25;

export interface RecorderMeans {
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
  record(rows: TerminalRow[]): Promise<Recorded>;
  /** What the ledger has of predictions whose end it refused. */
  findEnds(ids: string[]): Promise<RecordedEnd[]>;
  /** Told of the deliveries that were committed. */
  onDeliveries(deliveries: Recorded['deliveries']): Promise<void>;
  onRecorded(rows: number): void;
  /** Nothing is read while the clock of this process is wrong: another recorder takes the entries. */
  isClockRight(): boolean;
  log: Logger;
}

export interface Recorder {
  close(): Promise<void>;
}

type Entry = [id: string, fields: string[]];
type StreamReply = [stream: string, entries: Entry[]][] | null;

export function startRecorder(means: RecorderMeans): Recorder {
  const { reader, redis, keys, shards, consumer, log } = means;
  const streams = shards.map((shard) => keys.ledger(shard));
  let closed = false;
  let groupsMade = false;
  let claimedAt = Number.NEGATIVE_INFINITY;

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
    for (let at = 0; at < ends.length; at += ROWS) await recordEnds(means, ends.slice(at, at + ROWS), () => closed);
    const entryIds = entries.map(([id]) => id);
    await redis
      .pipeline()
      .xack(stream, GROUP, ...entryIds)
      .xdel(stream, ...entryIds)
      .exec();
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

  async function loop(): Promise<void> {
    while (!closed) {
      try {
        if (!means.isClockRight()) {
          await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
          continue;
        }
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
        if (reply !== null && early > 0 && !closed) await new Promise((resolve) => setTimeout(resolve, early));
      } catch (error) {
        if (closed) return;
        // What was read and not recorded stays pending under this name, and is claimed again.
        if ((error as Error).message.includes('NOGROUP')) groupsMade = false;
        else log.warn({ err: error }, 'terminal states cannot be recorded');
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  const looping = loop();
  return {
    async close() {
      closed = true;
      // A blocked read returns at the latest after BLOCK_MS; a batch under way is finished.
      reader.disconnect();
      await looping;
    },
  };
}

/** An end as the stream tells it: its id, and all of it or '' where it must be read. */
type End = readonly [id: string, state: string];

function endsOf(entries: readonly Entry[]): End[] {
  const ends: End[] = [];
  for (const [, fields] of entries)
    for (let at = 0; at < fields.length; at += 2) ends.push([fields[at] as string, fields[at + 1] as string]);
  return ends;
}

async function recordEnds(means: RecorderMeans, ends: readonly End[], closed: () => boolean): Promise<void> {
  const { live, record, onDeliveries, onRecorded, liveTtlMs, log } = means;
  const rows: TerminalRow[] = [];
  const unread = new Set<string>();
  for (const [id, state] of ends) {
    if (state === '') unread.add(id);
    else rows.push(terminalRowOf(parseState(id, state)));
  }
  const read: TerminalRow[] = [];
  for (const state of unread.size > 0 ? await live.readMany([...unread]) : []) {
    // Opened again meanwhile: the retry has recorded this end, and the next end will be told anew.
    if (!state || !isTerminal(state.status)) continue;
    read.push(terminalRowOf(state));
  }
  rows.push(...read);
  if (rows.length === 0) return;
  let recorded: Recorded | undefined;
  while (!recorded) {
    try {
      recorded = await record(rows);
    } catch (error) {
      if (closed()) throw error;
      log.warn({ err: error, rows: rows.length }, 'the ledger cannot be written');
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
  for (const { id, reason } of recorded.unstorable) log.error({ id, reason }, 'a row cannot be stored');
  await live.shorten(read, liveTtlMs);
  onRecorded(recorded.applied);
  if (recorded.deliveries.length > 0) await onDeliveries(recorded.deliveries);
  if (recorded.refused.length > 0) await dropOverruled(means, rows, recorded.refused);
}

/**
 * The ledger refuses mostly what it has already. Where it has another end, since Redis lost its last moments, that end is
 * the one that the list, the feed and the webhooks tell: Redis must not tell a poll of another.
 */
async function dropOverruled(
  { live, findEnds }: RecorderMeans,
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
