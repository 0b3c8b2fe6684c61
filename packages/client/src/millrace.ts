/** The client of a server. */
import { type Connection, follow } from './follow.ts';
import { ModelsClient } from './models-client.ts';
import type { PagedList } from './pages.ts';
import { PredictionHandle } from './prediction-handle.ts';
import { type AnyRequest, Requester } from './requester.ts';
import { pathOf, predictionIn } from './responses.ts';
import { create, type Submission } from './submission.ts';
import type { TransportOptions } from './transport.ts';
import type * as Types from './types.ts';
import { WebhooksClient } from './webhooks-client.ts';

export interface MillraceOptions extends TransportOptions {
  /**
   * The longest time in milliseconds without any response of the server, while a call waits for an accepted prediction. 120,000 if
   * absent. The prediction continues on the server.
   */
  maxOutageMs?: number;
}

/** How long the server holds the response of `run`. From then on the call knows the id of the prediction. */
const RUN_WAIT_S = 5;
/** Shorter where the caller wants to see the states. */
const UPDATE_WAIT_S = 1;

/**
 * A client of one server. `Models` has the types of the inputs and outputs of the server's models.
 *
 *     const millrace = new Millrace({ baseUrl: 'http://localhost:8080' });
 *     const output = await millrace.run('drug-interaction', { drug_a: 'Warfarin', drug_b: 'Aspirin' });
 */
export class Millrace<Models = Types.ModelTypes> {
  readonly #requester: Requester;
  readonly #connection: Connection;
  /** Sends a request to any route of the OpenAPI document. */
  readonly request: Requester['request'];
  readonly models: ModelsClient;
  readonly webhooks: WebhooksClient;

  constructor(options: MillraceOptions = {}) {
    this.#requester = new Requester(options);
    this.#connection = { transport: this.#requester.transport, maxOutageMs: options.maxOutageMs ?? 120_000 };
    this.request = this.#requester.request.bind(this.#requester);
    this.models = new ModelsClient(this.#requester);
    this.webhooks = new WebhooksClient(this.#requester);
  }

  /**
   * Resolves with the output of the model for one input, and waits as long as the prediction takes. Rejects with a PredictionError
   * if the prediction failed, expired or was canceled.
   */
  async run<Name extends Types.ModelName<Models>>(
    model: Name,
    input: Types.InputOf<Models, Name>,
    options: Types.RunOptions = {},
  ): Promise<Types.OutputOf<Models, Name>> {
    const handle = await this.#create<Types.OutputOf<Models, Name>>({
      model,
      body: { input },
      options,
      waitS: waitOf(options),
    });
    return handle.wait(options);
  }

  /** As `run`, for several inputs in one prediction. Resolves with the outputs in the order of the inputs. */
  async runMany<Name extends Types.ModelName<Models>>(
    model: Name,
    inputs: readonly Types.InputOf<Models, Name>[],
    options: Types.RunManyOptions = {},
  ): Promise<(Types.OutputOf<Models, Name> | null)[]> {
    const submission = { model, body: { inputs }, options, waitS: waitOf(options) };
    const handle = await this.#create<(Types.OutputOf<Models, Name> | null)[]>(submission);
    return handle.wait(options);
  }

  /** Resolves when the server has accepted the prediction. The prediction reaches its end even if this program ends. */
  submit<Name extends Types.ModelName<Models>>(
    model: Name,
    input: Types.InputOf<Models, Name>,
    options: Types.SubmitOptions = {},
  ): Promise<PredictionHandle<Types.OutputOf<Models, Name>>> {
    return this.#create({ model, body: { input }, options, waitS: 0 });
  }

  /** As `submit`, for several inputs in one prediction. */
  submitMany<Name extends Types.ModelName<Models>>(
    model: Name,
    inputs: readonly Types.InputOf<Models, Name>[],
    options: Types.SubmitManyOptions = {},
  ): Promise<PredictionHandle<(Types.OutputOf<Models, Name> | null)[]>> {
    return this.#create({ model, body: { inputs }, options, waitS: 0 });
  }

  async #create<Result>(submission: Submission): Promise<PredictionHandle<Result>> {
    return new PredictionHandle(this.#connection, await create(this.#connection.transport, submission));
  }

  /** Resolves with the present state of a prediction. */
  get(id: string, options: Types.GetOptions = {}): Promise<Types.Prediction> {
    return this.#prediction(id, { method: 'GET', path: pathOf(id), options });
  }

  /** Returns each state of a prediction, from the present state to the terminal state. An abort only ends the reading. */
  events(id: string, options: Types.CallOptions = {}): AsyncGenerator<Types.Prediction> {
    return follow(this.#connection, { ...options, id });
  }

  /** Cancels a prediction. A second cancel has the same result, and the cancel of an ended prediction is an ApiError. */
  cancel(id: string, options: Types.CallOptions = {}): Promise<Types.Prediction> {
    return this.#prediction(id, { method: 'POST', path: pathOf(id, '/cancel'), options, body: {} });
  }

  /** Runs a failed, expired or canceled prediction again, under the same id. */
  async retry(id: string, options: Types.CallOptions = {}): Promise<PredictionHandle<unknown>> {
    const prediction = await this.#prediction(id, { method: 'POST', path: pathOf(id, '/retry'), options, body: {} });
    return new PredictionHandle(this.#connection, prediction);
  }

  /** Lists predictions, newest first: `for await (const prediction of millrace.list({ status: 'failed' }))`. */
  list(options: Types.ListOptions = {}): PagedList<Types.ListedPrediction> {
    const { metadata = {}, ...rest } = options;
    const filters = Object.entries(metadata).map(([key, value]) => [`metadata.${key}`, value]);
    return this.#requester.list('/v1/predictions', { ...rest, ...Object.fromEntries(filters) });
  }

  async #prediction(id: string, request: AnyRequest): Promise<Types.Prediction> {
    return predictionIn(await this.#requester.send({ ...request, predictionId: id }), { predictionId: id });
  }
}

const waitOf = ({ onUpdate }: Types.RunOptions): number => (onUpdate ? UPDATE_WAIT_S : RUN_WAIT_S);
