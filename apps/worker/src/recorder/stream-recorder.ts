/** Records the ends in the recorder's streams. Large and failing ends are set aside for the second loop. */
import type { TerminalRow } from '@millrace/shared/ledger/ledger-rows';
import { readStateText } from '@millrace/shared/live/state';
import { shardOfId } from '@millrace/shared/predictions/ids';
import { RECORDER_GROUP } from '@millrace/shared/queue/output-readers';
import { type Entry, endsOf, partsOf, type SizedEnd } from './ends.ts';
import { type RecorderParts, readRows, releaseStates, rowOf, STATEMENT_BYTES } from './recorder-deps.ts';
import { writeRows } from './write-rows.ts';

/** Entries of a stream in one read. lib.lua bounds the bytes of an entry. */
const ENTRIES = 64;
const BLOCK_MS = 2_000;
/** Rows in one statement. */
const ROWS = 1_000;
/** A larger state is written on its own. */
const LARGE_BYTES = 65_536;
/** An entry that a recorder has read and not finished within this time is taken over: the recorder has died. */
const ABANDONED_MS = 5_000;
/** How long Redis keeps a small recorded state while memory is short. Waiting callers read the state within this time. */
const TIGHT_TTL_MS = 5_000;
/**
 * Pause from one read to the next, unless a stream has more entries. The ends of the pause share one statement. At a few hundred ends
 * per second a statement for each end used as much CPU as the responses to callers, and delayed the next responses. An end after a
 * longer time without ends is recorded at once.
 */
const PACE_MS = 50;

export class StreamRecorder {
  readonly #parts: RecorderParts;
  readonly #streams: readonly string[];
  readonly #onSetAside: () => void;
  #groupsMade = false;
  #claimedAt = Number.NEGATIVE_INFINITY;

  /** `onSetAside`: called after ends were set aside. */
  constructor(parts: RecorderParts, onSetAside: () => void) {
    const { keys, shards } = parts.deps;
    this.#parts = parts;
    this.#streams = shards.map((shard) => keys.ledger(shard));
    this.#onSetAside = onSetAside;
  }

  /** Records the next entries of the streams. Entries that were read and not recorded stay pending and are claimed again. */
  async recordNext(): Promise<void> {
    if (!this.#groupsMade) await this.#makeGroups();
    if (performance.now() - this.#claimedAt > ABANDONED_MS) await this.#claimAbandoned();
    const replies = await this.#read();
    const readAt = performance.now();
    for (const [stream, entries] of replies ?? []) await this.#recordEntries(stream, entries);
    const early = PACE_MS - (performance.now() - readAt);
    const hasMore = replies?.some(([, entries]) => entries.length >= ENTRIES) ?? true;
    if (!hasMore && early > 0) await this.#parts.pause(early);
  }

  /** Redis has lost the consumer groups. The next call of `recordNext` creates the groups again. */
  forgetGroups(): void {
    this.#groupsMade = false;
  }

  async #makeGroups(): Promise<void> {
    for (const stream of this.#streams) {
      await this.#parts.deps.redis.xgroup('CREATE', stream, RECORDER_GROUP, '0', 'MKSTREAM').catch((error: Error) => {
        if (!error.message.includes('BUSYGROUP')) throw error;
      });
    }
    this.#groupsMade = true;
  }

  async #read(): Promise<[stream: string, entries: Entry[]][] | null> {
    const streams = this.#streams;
    const { reader, consumer } = this.#parts.deps;
    const ids = streams.map(() => '>');
    const args = ['COUNT', ENTRIES, 'BLOCK', BLOCK_MS, 'STREAMS', ...streams, ...ids] as const;
    return (await reader.xreadgroup('GROUP', RECORDER_GROUP, consumer, ...args)) as [string, Entry[]][] | null;
  }

  /** Takes over entries that a dead recorder had read and not finished. */
  async #claimAbandoned(): Promise<void> {
    const { redis, consumer } = this.#parts.deps;
    this.#claimedAt = performance.now();
    for (const stream of this.#streams) {
      const reply = await redis.xautoclaim(stream, RECORDER_GROUP, consumer, ABANDONED_MS, '0', 'COUNT', ENTRIES);
      const [, entries] = reply as [string, Entry[]];
      const present = entries.filter(([, fields]) => fields);
      if (present.length > 0) await this.#recordEntries(stream, present);
    }
  }

  async #recordEntries(stream: string, entries: readonly Entry[]): Promise<void> {
    const { live, redis } = this.#parts.deps;
    const ends = endsOf(entries);
    const unread = [...new Set(ends.filter(({ state }) => state === '').map(({ id }) => id))];
    const sizes = unread.length > 0 ? await live.sizes(unread) : [];
    const large = unread.filter((_, at) => sizes[at]! > LARGE_BYTES);
    await this.#setEndsAside(large, { afterMs: 0, tries: 0 });
    const small: SizedEnd[] = [
      ...ends.filter(({ state }) => state !== '').map((end) => ({ ...end, bytes: end.state.length })),
      ...unread.map((id, at) => ({ id, state: '', bytes: sizes[at]! })),
    ].filter(({ bytes }) => bytes > 0 && bytes <= LARGE_BYTES);
    for (const part of partsOf(small, ROWS, STATEMENT_BYTES)) await this.#recordPart(part);
    const entryIds = entries.map(([id]) => id);
    await redis
      .pipeline()
      .xack(stream, RECORDER_GROUP, ...entryIds)
      .xdel(stream, ...entryIds)
      .exec();
  }

  async #recordPart(ends: readonly SizedEnd[]): Promise<void> {
    const { deps } = this.#parts;
    let rows: TerminalRow[] = [];
    const unread: string[] = [];
    for (const { id, state } of ends) {
      // A state that is unreadable here, such as a state of a version before 0.1.0, is read from its key.
      const row = state === '' ? undefined : rowOf(readStateText(id, state));
      if (row) rows.push(row);
      else unread.push(id);
    }
    for await (const read of readRows(deps, unread)) {
      await this.#write(rows, read);
      rows = [];
    }
    if (rows.length > 0) await this.#write(rows, []);
  }

  /** Writes the rows of states in the stream, and of states that were read from their keys. */
  async #write(rows: readonly TerminalRow[], read: readonly TerminalRow[]): Promise<void> {
    const { deps, writing, retryDelaysMs } = this.#parts;
    const unwritten = await writeRows(writing, [...rows, ...read]);
    const failed = new Set(unwritten.map(({ row }) => row.id));
    for (const { row, reason } of unwritten)
      deps.log.error({ id: row.id, reason }, 'an end could not be recorded: it is set aside and repeated on its own');
    await this.#setEndsAside([...failed], { afterMs: retryDelaysMs[0] ?? 0, tries: 1 });
    // While memory is short, Redis keeps every recorded state only briefly, small or large.
    const { tight } = deps.room;
    await releaseStates(
      deps.live,
      (tight ? [...rows, ...read] : read).filter(({ id }) => !failed.has(id)),
      tight ? TIGHT_TTL_MS : deps.liveTtlMs,
    );
  }

  async #setEndsAside(ids: readonly string[], when: { afterMs: number; tries: number }): Promise<void> {
    if (ids.length === 0) return;
    for (const [shard, some] of Map.groupBy(ids, shardOfId)) await this.#parts.setAside.add(shard, some, when);
    this.#onSetAside();
  }
}
