/** The claims and attempt results of this process, between the scheduler and Postgres. Independent of HTTP and BullMQ. */

import { Batcher } from '@millrace/shared/batching/batcher';
import type { Pool } from '@millrace/shared/postgres/db';
import { newSecret } from '@millrace/shared/webhooks/secret';
import { type ClaimedDelivery, cancelClaims, claimDue, holdUntil, tenantSecrets } from './due-deliveries.ts';
import { type AttemptRecord, recordAttempts } from './record-outcome.ts';

export interface DeliveryClaimsOptions {
  /** The base URL of the API in events. */
  publicUrl: string | undefined;
  db: Pool;
  now: () => number;
  /** Receives the error of each failed write. The write is repeated. */
  onError(error: unknown): void;
}

/** How long a claim lasts without renewal. The deliveries of a killed worker wait this long for another worker. */
export const HOLD_MS = 4_000;
const RENEW_MS = 1_000;
const RETRY_MS = 250;
/** Results that may wait for their write before attempts wait too. */
const MAX_UNWRITTEN = 500;
// SQLSTATE classes 22 and 23: malformed data and broken constraints. The same row would fail again.
const ROW_FAULT = /^2[23]/;

export class DeliveryClaims {
  readonly #options: DeliveryClaimsOptions;
  readonly #batcher: Batcher<AttemptRecord, void>;
  readonly #held = new Set<ClaimedDelivery>();
  readonly #writing = new Set<Promise<boolean>>();
  readonly #renewal: NodeJS.Timeout;
  #closed = false;

  constructor(options: DeliveryClaimsOptions) {
    this.#options = options;
    this.#batcher = new Batcher<AttemptRecord, void>({
      run: async (records) => {
        await recordAttempts(options.db, records, { nowMs: options.now(), publicUrl: options.publicUrl });
        return records.map(() => undefined);
      },
      defer: (start) => start(),
      maxItems: 500,
      maxWaiting: 100_000,
    });
    this.#renewal = setInterval(() => void this.#renew(), RENEW_MS);
  }

  /** Claims due deliveries of a lane and adds the secrets that sign them. Cancels deliveries of disabled and deleted endpoints. */
  async claim(lane: string, limit: number): Promise<ClaimedDelivery[]> {
    const { db, now } = this.#options;
    const nowMs = now();
    const claimed = await claimDue(db, { lane, limit, nowMs, heldUntil: nowMs + HOLD_MS });
    const dead = claimed.filter(({ state }) => state === 'disabled' || state === 'gone');
    await cancelClaims(db, dead, nowMs);
    const live = claimed.filter((delivery) => !dead.includes(delivery));
    const [first] = live;
    if (first?.endpoint === null && first.secrets.length === 0) {
      const secrets = await tenantSecrets(db, first.tenant, newSecret());
      for (const delivery of live) delivery.secrets = secrets;
    }
    for (const delivery of live) this.#held.add(delivery);
    return live;
  }

  /** Whether the claim is still valid. Drops an invalid claim. */
  holds(delivery: ClaimedDelivery): boolean {
    const holds = delivery.heldUntil > this.#options.now();
    if (!holds) this.#held.delete(delivery);
    return holds;
  }

  /**
   * Writes the result of an attempt and calls `onCommitted` after the commit. Resolves at once while few results wait, so that
   * the next attempt does not wait for this commit.
   */
  async record(delivery: ClaimedDelivery, record: AttemptRecord, onCommitted: () => void): Promise<void> {
    const written = this.#write(record).then((done) => {
      this.#held.delete(delivery);
      this.#writing.delete(written);
      if (done) onCommitted();
      return done;
    });
    this.#writing.add(written);
    if (this.#batcher.waiting > MAX_UNWRITTEN) await written;
  }

  /** Returns claims, so that the deliveries are due at once. Never rejects: claims also expire. */
  async release(deliveries: readonly ClaimedDelivery[]): Promise<void> {
    for (const delivery of deliveries) this.#held.delete(delivery);
    await holdUntil(this.#options.db, deliveries, this.#options.now()).catch(this.#options.onError);
  }

  /** Resolves when all results are written. */
  async drain(): Promise<void> {
    await Promise.all(this.#writing);
  }

  /** Stops repeating failed writes. Another worker repeats the attempts of these writes. */
  close(): void {
    this.#closed = true;
    clearInterval(this.#renewal);
  }

  async #write(record: AttemptRecord): Promise<boolean> {
    const { onError } = this.#options;
    for (;;) {
      try {
        await this.#batcher.add(record);
        return true;
      } catch (error) {
        // One row of the batch is invalid, so each row is now written alone. The invalid row's delivery is attempted again later.
        if (isRowFault(error)) return this.#writeAlone(record);
        onError(error);
      }
      if (this.#closed) return false;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }

  async #writeAlone(record: AttemptRecord): Promise<boolean> {
    const { db, now, publicUrl, onError } = this.#options;
    try {
      await recordAttempts(db, [record], { nowMs: now(), publicUrl });
      return true;
    } catch (error) {
      onError(error);
      return false;
    }
  }

  async #renew(): Promise<void> {
    const nowMs = this.#options.now();
    const held = [...this.#held].filter(({ heldUntil }) => heldUntil > nowMs);
    await holdUntil(this.#options.db, held, nowMs + HOLD_MS).catch(this.#options.onError);
  }
}

function isRowFault(error: unknown): boolean {
  return error instanceof Error && 'code' in error && ROW_FAULT.test(String(error.code));
}
