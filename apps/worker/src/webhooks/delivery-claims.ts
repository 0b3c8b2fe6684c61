/** Claims and outcomes of this process, between the pump and Postgres. Knows no HTTP and no BullMQ. */

import { GroupCommit } from '@millrace/shared/batching/group-commit';
import type { Pool } from '@millrace/shared/postgres/db';
import { newSecret } from '@millrace/shared/webhooks/secret';
import { type ClaimedDelivery, cancelClaims, claimDue, holdUntil, tenantSecrets } from './due-deliveries.ts';
import { type Settled, settle } from './record-outcome.ts';

export interface DeliveryClaimsOptions {
  db: Pool;
  now: () => number;
  /** Told of each write that failed; it is tried again. */
  onError(error: unknown): void;
}

/** How long a claim lasts unless renewed: so long do the deliveries of a worker that was killed wait for another. */
export const HOLD_MS = 4_000;
const RENEW_MS = 1_000;
const RETRY_MS = 250;
/** Outcomes that may wait to be written before attempts wait for them. */
const MAX_UNWRITTEN = 500;
// Malformed data and broken constraints: the same row would fail again.
const ROW_FAULT = /^2[23]/;

export class DeliveryClaims {
  readonly #options: DeliveryClaimsOptions;
  readonly #group: GroupCommit<Settled>;
  readonly #held = new Set<ClaimedDelivery>();
  readonly #writing = new Set<Promise<boolean>>();
  readonly #renewal: NodeJS.Timeout;
  #givenUp = false;

  constructor(options: DeliveryClaimsOptions) {
    this.#options = options;
    this.#group = new GroupCommit<Settled>({
      write: (rows) => settle(options.db, rows, options.now()),
      maxRows: 500,
      maxWaiting: 100_000,
    });
    this.#renewal = setInterval(() => void this.#renew(), RENEW_MS);
  }

  /** What is due in a lane, ready to be sent: claimed, and with secrets to sign it. */
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

  /** Whether the claim still stands; one that does not is forgotten. */
  holds(delivery: ClaimedDelivery): boolean {
    const holds = delivery.heldUntil > this.#options.now();
    if (!holds) this.#held.delete(delivery);
    return holds;
  }

  /**
   * Has an outcome written, and `then` called when it is. Resolves at once while writing keeps up, so that the next
   * attempt need not wait for the commit of this one.
   */
  async settle(delivery: ClaimedDelivery, outcome: Settled, then: () => void): Promise<void> {
    const written = this.#write(outcome).then((done) => {
      this.#held.delete(delivery);
      this.#writing.delete(written);
      if (done) then();
      return done;
    });
    this.#writing.add(written);
    if (this.#group.waiting > MAX_UNWRITTEN) await written;
  }

  /** Gives claims back, to be due at once. Never rejects: they end by themselves. */
  async release(deliveries: readonly ClaimedDelivery[]): Promise<void> {
    for (const delivery of deliveries) this.#held.delete(delivery);
    await holdUntil(this.#options.db, deliveries, this.#options.now()).catch(this.#options.onError);
  }

  /** Resolves when all outcomes are written. */
  async drain(): Promise<void> {
    await Promise.all(this.#writing);
  }

  /** Ends retries of writes that fail: their attempts will be made again. */
  close(): void {
    this.#givenUp = true;
    clearInterval(this.#renewal);
  }

  async #write(outcome: Settled): Promise<boolean> {
    const { db, now, onError } = this.#options;
    for (;;) {
      try {
        await this.#group.add(outcome);
        return true;
      } catch (error) {
        if (!ROW_FAULT.test((error as { code?: string }).code ?? '')) {
          onError(error);
        } else {
          // One row of many is at fault, and each of them goes alone now. The faulty one is attempted again later.
          return settle(db, [outcome], now()).then(
            () => true,
            (fault) => {
              onError(fault);
              return false;
            },
          );
        }
      }
      if (this.#givenUp) return false;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }

  async #renew(): Promise<void> {
    const nowMs = this.#options.now();
    const held = [...this.#held].filter(({ heldUntil }) => heldUntil > nowMs);
    await holdUntil(this.#options.db, held, nowMs + HOLD_MS).catch(this.#options.onError);
  }
}
