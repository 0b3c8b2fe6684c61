/**
 * Follows predictions for those who watch their events. However many watch, a prediction is read once a round, and
 * rounds get rarer the more there are; the end of a prediction is told at once by its completion event.
 */
import { isTerminal } from '@millrace/shared/predictions/prediction';
import { ResponseDisconnect } from '../http/client-disconnect.ts';
import type { CompletionListener } from '../queue/completion-listener.ts';
import type { Finder, Found } from './find-prediction.ts';

/** A round's least distance, and the reads a second that all rounds together may take. */
const ROUND_MS = 250;
const READS_PER_S = 2_000;
const READ_AT_ONCE = 200;
const LONGEST_MS = 2 ** 31 - 1;

interface Watched {
  tenant: string;
  watchers: Set<(found: Found) => void>;
  ended: ResponseDisconnect;
}

export class Streams {
  readonly #finder: Finder;
  readonly #completions: CompletionListener;
  readonly #watched = new Map<string, Watched>();
  #timer: NodeJS.Timeout | undefined;

  constructor(finder: Finder, completions: CompletionListener) {
    this.#finder = finder;
    this.#completions = completions;
  }

  /** Predictions that are watched. */
  get size(): number {
    return this.#watched.size;
  }

  /**
   * Calls back with what a prediction is, whenever it is read, until it is terminal or the function it gives back is
   * called. The same state may be told again. Read the state after this call, not before: what happens in between is told.
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
    void this.#completions.wait(id, LONGEST_MS, watched.ended).then((answer) => {
      if (answer && !watched.ended.aborted) void this.#read(id, watched);
    });
  }

  async #read(id: string, watched: Watched): Promise<void> {
    const found = await this.#finder.find(watched.tenant, id).catch(() => null);
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
