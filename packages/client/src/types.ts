/** The public types of predictions and models. */
import type { components, operations } from './openapi.ts';

export type Schemas = components['schemas'];

/** A prediction, with the output of its model. */
export interface Prediction<Output = unknown> extends Omit<Schemas['Prediction'], 'output' | 'outputs'> {
  /** Null before the success, and for `submitMany`. */
  output: Output | null;
  /** Null before the success, and for a single input. A row is null if the row failed: see `row_errors`. */
  outputs: (Output | null)[] | null;
}

/** A prediction of a list, with the inputs and outputs that `include` selects. */
export type ListedPrediction = Schemas['ListedPrediction'];

/**
 * The inputs and outputs of the models of your server. `npx millrace types` writes a file that adds the models to this interface. As long as
 * the interface is empty, every model takes any input.
 */
// biome-ignore lint/suspicious/noEmptyInterface: users add members to the interface.
export interface ModelTypes {}

export interface ModelType {
  input: unknown;
  output: unknown;
}

/** The names of the models that have types; any name if no model has types. */
export type ModelName<Models> = keyof Models extends never ? string : keyof Models & string;

type TypeOf<Models, Name, Part extends keyof ModelType> = Name extends keyof Models
  ? Models[Name] extends Record<Part, infer Type>
    ? Type
    : unknown
  : unknown;

export type InputOf<Models, Name> = TypeOf<Models, Name, 'input'>;
export type OutputOf<Models, Name> = TypeOf<Models, Name, 'output'>;

type CamelCase<Text> = Text extends `${infer Head}_${infer Tail}` ? `${Head}${Capitalize<CamelCase<Tail>>}` : Text;

/** The parameters of a query in the names of TypeScript. A list is sent with commas, and a Date as RFC 3339. */
type Query<Parameters> = {
  [Name in keyof Parameters as CamelCase<Name>]?: Name extends `${string}_${'after' | 'before' | 'at'}`
    ? string | Date
    : Name extends 'status'
      ? string | readonly string[]
      : Parameters[Name];
};

type QueryOf<Operation extends keyof operations> = Query<NonNullable<operations[Operation]['parameters']['query']>>;

export interface CallOptions {
  signal?: AbortSignal;
  /** Further headers of the request. */
  headers?: Readonly<Record<string, string>>;
}

export interface ListOptions extends QueryOf<'listPredictions'>, CallOptions {
  /** Only predictions whose metadata has these values. */
  metadata?: Readonly<Record<string, string>>;
}

export type GetOptions = QueryOf<'getPrediction'> & CallOptions;
export type ModelListOptions = QueryOf<'listModels'> & CallOptions;
export type EntityListOptions = QueryOf<'searchModelEntities'> & CallOptions;
export type DeliveryListOptions = QueryOf<'listDeliveries'> & CallOptions;
export type EndpointListOptions = QueryOf<'listEndpoints'> & CallOptions;
export type EventListOptions = QueryOf<'listEvents'> & CallOptions;

export interface SubmitOptions extends CallOptions {
  /** A version or an alias. The server selects the version if absent. */
  version?: string;
  priority?: NonNullable<Schemas['CreatePrediction']['priority']>;
  /** The deadline in seconds: a prediction that has not ended by then expires. */
  expiresIn?: number;
  metadata?: Readonly<Record<string, string>>;
  webhook?: Schemas['PredictionWebhook'];
  /** The directives of `Cache-Control`, such as `no-cache`. */
  cacheControl?: string;
  /** The client makes a key for each call if absent. Pass a key of your own to repeat a call after a crash of your program. */
  idempotencyKey?: string;
  /** Whether an abort of `signal` cancels the prediction on the server. True if absent. */
  cancelOnAbort?: boolean;
}

export interface SubmitManyOptions extends SubmitOptions {
  /** `row`: a row that is invalid or that fails is null in the outputs, and the other rows succeed. `fail` if absent. */
  onError?: 'fail' | 'row';
}

export interface RunOptions extends SubmitOptions {
  /** Called with each state of the prediction until its end: queued with its position, running, and the terminal state. */
  onUpdate?: (prediction: Prediction) => void;
}

export interface RunManyOptions extends SubmitManyOptions, Pick<RunOptions, 'onUpdate'> {}

export interface WaitOptions extends Pick<RunOptions, 'signal' | 'cancelOnAbort' | 'onUpdate'> {}
