/**
 * Watches predictions for event streams. A prediction with many watchers is read once per round, and the time between rounds
 * grows with the number of watched predictions. The end of a prediction is reported at once, after its completion event.
 */
import { isTerminal } from '@millrace/shared/predictions/prediction';
import { ResponseDisconnect } from '../http/client-disconnect.ts';
import type { CompletionListener } from '../queue/completion-listener.ts';
import type { Found, PredictionLookup } from './find-prediction.ts';

/** The shortest time between two rounds. */
const ROUND_MS = 250;
/** The most reads per second of all rounds together. */
const READS_PER_S = 2_000;
const READ_AT_ONCE = 200;
const LONGEST_MS = 2 ** 31 - 1;

interface Watched {
  tenant: string;
  watchers: Set<(found: Found) => void>;
  ended: ResponseDisconnect;
}

export class PredictionWatcher {
  readonly #lookup: PredictionLookup;
  readonly #completions: CompletionListener;
  readonly #watched = new Map<string, Watched>();
  #timer: NodeJS.Timeout | undefined;

  constructor(lookup: PredictionLookup, completions: CompletionListener) {
    this.#lookup = lookup;
    this.#completions = completions;
  }

  /** The number of watched predictions. */
  get size(): number {
    return this.#watched.size;
  }

  /**
   * Calls `watcher` with the state of a prediction after each read, until the prediction is terminal or the returned function
   * is called. The same state may be reported again. A caller must read the state after this call, not before: otherwise a
   * change in between would be missed.
   */
  watch(tenant: string, id: string, watcher: (found: Found) => void): () => void {
    let watched = this.#watched.get(id);
    if (!watched) {
      watched = { tenant, watchers: new Set(), ended: new ResponseDisconnect() };
      this.#watched.set(id, watched);
      this.#awaitEnd(id, watched);
    }
    const own = watched;
    own.watchers.add(watcher);
    this.#schedule();
    return () => {
      own.watchers.delete(watcher);
      if (own.watchers.size === 0) this.#forget(id, own);
    };
  }

  #forget(id: string, watched: Watched): void {
    watched.ended.abort();
    if (this.#watched.get(id) === watched) this.#watched.delete(id);
  }

  #awaitEnd(id: string, watched: Watched): void {
    void this.#completions.wait(id, LONGEST_MS, watched.ended).then((end) => {
      if (end && !watched.ended.aborted) void this.#read(id, watched);
    });
  }

  async #read(id: string, watched: Watched): Promise<void> {
    const found = await this.#lookup.find(watched.tenant, id).catch(() => null);
    if (!found || watched.ended.aborted) return;
    for (const watcher of [...watched.watchers]) watcher(found);
    if (isTerminal(found.record.status)) this.#forget(id, watched);
  }

  #schedule(): void {
    if (this.#timer || this.#watched.size === 0) return;
    const afterMs = Math.max(ROUND_MS, (this.#watched.size / READS_PER_S) * 1_000);
    this.#timer = setTimeout(() => void this.#round(), afterMs);
    this.#timer.unref();
  }

  async #round(): Promise<void> {
    const all = [...this.#watched];
    for (let at = 0; at < all.length; at += READ_AT_ONCE)
      await Promise.all(all.slice(at, at + READ_AT_ONCE).map(([id, watched]) => this.#read(id, watched)));
    this.#timer = undefined;
    this.#schedule();
  }

  close(): void {
    clearTimeout(this.#timer);
    for (const [id, watched] of this.#watched) this.#forget(id, watched);
  }
}
