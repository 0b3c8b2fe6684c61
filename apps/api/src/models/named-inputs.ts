/**
 * Runs `canonicalize` on the event loop for inputs of entity names, such as two drugs by name. A caller cannot make such an input
 * expensive, because a caller selects only among the names of the version. The message to a thread and back would take
 * longer than the usual handler. All other inputs run in a thread.
 */
import type { Entities } from '@millrace/shared/entities/entity';
import type { Json } from '@millrace/shared/model-files/handler';
import { importVerified, type VerifiedHandler } from '@millrace/shared/model-files/handler-file';
import { checkerOf } from '../http/validation.ts';

/** Fast runs in a row, in a thread, before the event loop runs the handler. */
const FAST_RUNS = 16;
const FAST_MS = 1;
/** A run of this time on the event loop sends the handler back to the threads. */
const SLOW_MS = 10;
/** A larger index would hold the event loop while the first look-up builds the index. */
const ENTITIES_MAX = 20_000;
/** The most values of an input of names, their deepest nesting, and the longest name. */
const VALUES_MAX = 16;
const DEPTH_MAX = 4;
const NAME_MAX = 100;

type Run = (input: unknown) => Json | Promise<Json>;

export interface NamedInputsParams {
  /** Absent for a task, whose inputs name no entities. */
  handler?: VerifiedHandler;
  entities: Entities;
  /** The names of the entity sets. */
  sets: readonly string[];
}

export class NamedInputs {
  readonly #params: NamedInputsParams;
  readonly #isSmall: boolean;
  #fast = 0;
  #loading = false;
  #run: Run | undefined;

  constructor(params: NamedInputsParams) {
    this.#params = params;
    const { handler, entities, sets } = params;
    const count = sets.reduce((sum, set) => sum + entities.all(set).length, 0);
    this.#isSmall = handler !== undefined && count > 0 && count <= ENTITIES_MAX;
  }

  /** Whether every value of the input is the name of an entity. */
  isNamed(input: unknown): boolean {
    return this.#isSmall && this.#countNames(input, DEPTH_MAX) > 0;
  }

  /** Whether the event loop runs the handler for inputs of names. */
  get runsHere(): boolean {
    return this.#run !== undefined && this.#fast >= FAST_RUNS;
  }

  /** Runs the handler for an input of names, and measures its turn of the event loop. Throws the error of the handler, or ApiError. */
  run(input: unknown): { canonical: Json | Promise<Json>; ms: number } {
    const startedAt = performance.now();
    let ms = 0;
    try {
      const canonical = (this.#run as Run)(input);
      ms = performance.now() - startedAt;
      return { canonical, ms };
    } finally {
      if ((ms || performance.now() - startedAt) > SLOW_MS) this.#fast = 0;
    }
  }

  /** Notes the time of a run of an input of names in a thread. */
  ranInThread(ms: number): void {
    this.#fast = ms < FAST_MS ? this.#fast + 1 : 0;
    const { handler: files } = this.#params;
    if (this.#fast < FAST_RUNS || this.#loading || files === undefined) return;
    this.#loading = true;
    // A handler that a thread could import and the event loop cannot stays in the threads.
    importVerified(files).then(
      (handler) => {
        const check = checkerOf(handler.input);
        const context = { entities: this.#params.entities };
        this.#run = (input) => {
          check(input);
          return handler.canonicalize(input, context);
        };
      },
      () => {},
    );
  }

  /** The number of names, or -Infinity for an input with another value. */
  #countNames(value: unknown, depth: number): number {
    if (typeof value === 'string') return this.#isName(value) ? 1 : Number.NEGATIVE_INFINITY;
    if (typeof value !== 'object' || value === null || depth === 0) return Number.NEGATIVE_INFINITY;
    let names = 0;
    let left = VALUES_MAX;
    for (const member in value) {
      left -= 1;
      if (left < 0 || member.length > NAME_MAX) return Number.NEGATIVE_INFINITY;
      names += this.#countNames((value as Record<string, unknown>)[member], depth - 1);
      if (names < 0 || names > VALUES_MAX) return Number.NEGATIVE_INFINITY;
    }
    return names;
  }

  #isName(text: string): boolean {
    if (text.length > NAME_MAX) return false;
    const { entities, sets } = this.#params;
    for (const set of sets) if (entities.find(set, text) !== undefined) return true;
    return false;
  }
}
