/** Records the ends that were set aside, with a separate statement for each claim. */
import type { TerminalRow } from '@millrace/shared/ledger/ledger-rows';
import { RecordedStates } from '@millrace/shared/live/recorded-states';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { type RecorderParts, type RowEnd, readRows, releaseStates, STATEMENT_BYTES } from './recorder-deps.ts';
import type { Claim } from './set-aside.ts';
import { type Unwritten, writeRows } from './write-rows.ts';

/** Rows of one claim: few enough to write the claim well within its lease. */
const CLAIM_ROWS = 16;
const CLAIM_POLL_MS = 1_000;
/** After this many attempts an end is recorded without its output, if the output is large enough to be the cause. */
const OMIT_AFTER = 6;
const OMIT_BYTES = 262_144;

export class SetAsideRecorder {
  readonly #parts: RecorderParts;
  readonly #recordedStates: RecordedStates;
  #wake = () => {};

  constructor(parts: RecorderParts) {
    const { redis, keys, live } = parts.deps;
    this.#parts = parts;
    this.#recordedStates = new RecordedStates(redis, keys, live);
  }

  /** Lets `recordNext` continue at once, because an end was set aside. */
  wake(): void {
    this.#wake();
  }

  /** Records one claim of each shard. If no claim is due, waits until the next poll or `wake`. */
  async recordNext(): Promise<void> {
    const { deps, setAside, signal, pause } = this.#parts;
    const { shards, redis, keys } = deps;
    const counts = await Promise.all(shards.map((shard) => redis.zcard(keys.setAside(shard))));
    let recorded = false;
    for (const [at, shard] of shards.entries()) {
      if (counts[at] === 0 || signal.aborted) continue;
      const claim = await setAside.claim(shard, CLAIM_ROWS, STATEMENT_BYTES);
      if (claim === null) continue;
      await this.#recordClaim(claim);
      recorded = true;
    }
    if (recorded) return;
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    await Promise.race([pause(CLAIM_POLL_MS), woken]);
  }

  async #recordClaim(claim: Claim): Promise<void> {
    const { deps, setAside, writing } = this.#parts;
    const ids = claim.ends.map(({ id }) => id);
    const rows: RowEnd[] = [];
    const unwritten: Unwritten[] = [];
    for await (const part of readRows(deps, ids, { large: true })) {
      rows.push(...part.map(({ id, completedAt, ledgerOutput }) => ({ id, completedAt, ledgerOutput })));
      unwritten.push(...(await writeRows(writing, part, { split: false })));
    }
    const failed = new Map(unwritten.map((end) => [end.row.id, end]));
    for (const { id, tries } of claim.ends) {
      const end = failed.get(id);
      if (!end) continue;
      if (claim.ends.length === 1 && mayOmit(end, tries + 1) && (await this.#recordWithoutOutput(end))) {
        failed.delete(id);
        continue;
      }
      // After a common failure each end is tried alone, without a delay.
      const afterMs = claim.ends.length > 1 ? 0 : this.#retryDelayMs(tries);
      deps.log.error({ id, tries: tries + 1, reason: end.reason }, 'an end cannot be recorded: it is tried again');
      await setAside.again(claim, [id], { afterMs, tries: tries + 1 });
    }
    const written = rows.filter(({ id }) => !failed.has(id));
    await releaseStates(deps.live, written, deps.liveTtlMs);
    await this.#recordedStates.add(claim.shard, written, { nowMs: sharedNow(), keptMs: deps.liveTtlMs });
    await setAside.done(
      claim,
      ids.filter((id) => !failed.has(id)),
    );
  }

  #retryDelayMs(tries: number): number {
    const delays = this.#parts.retryDelaysMs;
    return delays[Math.min(tries, delays.length - 1)] ?? 0;
  }

  /** Keeps the promise and its webhooks when Postgres cannot store the output. Returns whether the end was recorded. */
  async #recordWithoutOutput({ row, reason }: Unwritten): Promise<boolean> {
    const { deps, writing } = this.#parts;
    const bytes = row.result.length;
    const without: TerminalRow = { ...row, result: row.status === 'succeeded' ? 'null' : row.result, task: '' };
    let unwritten = await writeRows(writing, [without], { split: false });
    if (unwritten[0]?.refused)
      unwritten = await writeRows(writing, [{ ...without, metadata: '', options: null }], { split: false });
    if (unwritten.length > 0) return false;
    deps.log.error(
      { id: row.id, bytes, reason },
      'an end was recorded without its output: Postgres cannot store the output',
    );
    deps.onOmitted();
    return true;
  }
}

/** Whether to record an end without its output: Postgres refuses the data, or a large output has failed several times. */
const mayOmit = ({ row, refused }: Unwritten, tries: number): boolean =>
  refused || (tries >= OMIT_AFTER && row.result.length >= OMIT_BYTES);
