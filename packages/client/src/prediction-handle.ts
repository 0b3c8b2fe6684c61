/** A prediction that this client has created. */
import { AbortError, PredictionError } from './errors.ts';
import { type Connection, follow, isEnded } from './follow.ts';
import { abortError, cancel } from './submission.ts';
import type { CallOptions, Prediction, WaitOptions } from './types.ts';

/** `Result` is the output, or the list of outputs of several inputs. */
export class PredictionHandle<Result, Output = unknown> {
  readonly id: string;
  readonly #connection: Connection;
  #prediction: Prediction;

  constructor(connection: Connection, prediction: Prediction) {
    this.id = prediction.id;
    this.#connection = connection;
    this.#prediction = prediction;
  }

  /** The last known state. */
  get prediction(): Prediction<Output> {
    return this.#prediction as Prediction<Output>;
  }

  /**
   * Resolves with the output when the prediction has succeeded. Rejects with a PredictionError when the prediction ended in another
   * way, and with an AbortError after an abort, which cancels the prediction unless `cancelOnAbort` is false.
   */
  async wait(options: WaitOptions = {}): Promise<Result> {
    const { signal, cancelOnAbort = true, onUpdate } = options;
    try {
      onUpdate?.(this.#prediction);
      if (!isEnded(this.#prediction)) for await (const prediction of this.events({ signal })) onUpdate?.(prediction);
    } catch (error) {
      if (!(error instanceof AbortError) || !cancelOnAbort) throw error;
      throw await abortError(cancel(this.#connection.transport, { id: this.id }), {
        predictionId: this.id,
        cause: error.cause,
      });
    }
    const { status, output, outputs } = this.#prediction;
    if (status !== 'succeeded') throw new PredictionError(this.#prediction);
    return (outputs ?? output) as Result;
  }

  /** Returns each state of the prediction until the terminal state. An abort only ends the reading. */
  async *events(options: CallOptions = {}): AsyncGenerator<Prediction<Output>> {
    for await (const prediction of follow(this.#connection, { ...options, id: this.id })) {
      this.#prediction = prediction;
      yield this.prediction;
    }
  }
}
