/** Reads the results that cached values name: see cache/named-result.ts in shared. */
import { type NamedResult, outputChecksum } from '@millrace/shared/cache/named-result';
import type { NamedResults } from '@millrace/shared/cache/result-cache';
import type { TasklessRow } from '@millrace/shared/ledger/ledger-rows';
import { predictionOfRow } from '@millrace/shared/ledger/terminal-row';
import type { LiveStore } from '@millrace/shared/live/store';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { joinTexts, LongText, type Text } from '@millrace/shared/predictions/long-text';
import { type Prediction, renderPrediction } from '@millrace/shared/predictions/prediction';
import { predictionOfState } from '@millrace/shared/predictions/prediction-state';

/**
 * Reads of the ledger at the same time, which all routes of this process share. Above this number a result is computed again: a read
 * must not wait for a Postgres that stalls, and must not keep the connections from other requests.
 */
const LEDGER_READS = 2;

export interface NamedResultsDeps {
  /** The public URL without a final slash; '' for links that are paths. */
  base: string;
  live: Pick<LiveStore, 'read'>;
  /** Finds a prediction of any tenant that has ended. */
  findEnded(id: string): Promise<TasklessRow | undefined>;
  /** Whether the cache shares the memory of the queue Redis, which has no room for a second copy. */
  sharesQueue: boolean;
}

export function createNamedResults(deps: NamedResultsDeps): NamedResults {
  const reader = new NamedReader(deps);
  return {
    read: (named) => reader.read(named),
    ttlMs: ({ freshUntil }) => (deps.sharesQueue ? 0 : freshUntil - sharedNow()),
  };
}

class NamedReader {
  readonly #deps: NamedResultsDeps;
  #ledgerReads = 0;

  constructor(deps: NamedResultsDeps) {
    this.#deps = deps;
  }

  async read(named: NamedResult): Promise<{ output: LongText; body: LongText | null } | null> {
    const record = await this.#find(named.prediction);
    if (record?.status !== 'succeeded' || record.list) return null;
    const output = longTextOf(record.result);
    if (output.length !== named.bytes || (await outputChecksum(output)) !== named.checksum) return null;
    const body = named.isShown ? longTextOf(renderPrediction({ ...record, result: output }, this.#deps.base)) : null;
    return { output, body };
  }

  /** Undefined where a store does not respond: the hit is a miss. */
  async #find(id: string): Promise<Prediction | undefined> {
    const state = await this.#deps.live.read(id).catch(() => null);
    if (state !== null && state.ledgerOutput === undefined) return predictionOfState(state);
    if (this.#ledgerReads >= LEDGER_READS) return undefined;
    this.#ledgerReads += 1;
    try {
      const row = await this.#deps.findEnded(id);
      return row && predictionOfRow(row);
    } catch {
      return undefined;
    } finally {
      this.#ledgerReads -= 1;
    }
  }
}

/** The text in pieces: no text is copied or searched in a turn that grows with its length. */
const longTextOf = (text: Text): LongText => (text instanceof LongText ? text : joinTexts([text]));
