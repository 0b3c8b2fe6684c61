/** The errors of the client. Each error has a `code`, and an error after the acceptance has the id of the prediction. */
import type { components } from './openapi.ts';

export type Problem = components['schemas']['Problem'];
type Prediction = components['schemas']['Prediction'];

/** The codes of docs/errors.md. A later server can add codes. */
export type ErrorCode = Problem['code'];

/** What each error of a call can know about the prediction of the call. */
export interface ErrorContext {
  /** The prediction that the server has accepted, or that the server may have accepted. */
  predictionId?: string | undefined;
  /** The key of all attempts of the call. The key names the prediction where the response with the id was lost. */
  idempotencyKey?: string | undefined;
  cause?: unknown;
}

/** The class of all errors of the client. */
export class MillraceError extends Error {
  override readonly name: string = 'MillraceError';
  declare readonly code: ErrorCode;
  /** Whether the same call can succeed later. */
  declare readonly retryable: boolean;
  declare readonly predictionId: string | undefined;
  declare readonly idempotencyKey: string | undefined;

  /** `details` has the members of the error. */
  constructor(message: string, { cause, ...details }: { code: ErrorCode; retryable: boolean } & ErrorContext) {
    super(message, cause === undefined ? undefined : { cause });
    Object.assign(this, details);
  }
}

export interface ApiErrorDetails extends ErrorContext {
  status: number;
  /** Undefined where a proxy or another server sent the response. */
  problem: Problem | undefined;
  retryable: boolean;
  retryAfterMs: number | undefined;
  requestId: string | undefined;
}

/** The server refused the request. */
export class ApiError extends MillraceError {
  override readonly name = 'ApiError';
  declare readonly status: number;
  declare readonly problem: Problem | undefined;
  declare readonly retryAfterMs: number | undefined;
  /** The id of the request in the log of the server. */
  declare readonly requestId: string | undefined;
  /** The faults of the request: the place, the expected value and the received value. */
  readonly errors: NonNullable<Problem['errors']>;
  /** Names that are similar to an unknown name of the request. */
  readonly suggestions: readonly string[];

  constructor(message: string, details: ApiErrorDetails) {
    const { problem, status, predictionId } = details;
    const code = problem?.code ?? `http_${status}`;
    super(message, { ...details, code, predictionId: problem?.prediction_id ?? predictionId });
    this.errors = problem?.errors ?? [];
    this.suggestions = problem?.suggestions ?? [];
  }
}

/** The prediction ended without an output: failed, canceled or expired. */
export class PredictionError extends MillraceError {
  override readonly name = 'PredictionError';
  readonly prediction: Prediction;

  constructor(prediction: Prediction) {
    const { id, status, error } = prediction;
    super(`The prediction ${id} ended as ${status}${error ? `: ${error.detail}` : '.'}`, {
      code: error?.code ?? status,
      // The prediction has ended: `retry` runs the prediction again.
      retryable: false,
      predictionId: id,
    });
    this.prediction = prediction;
  }
}

/** No complete response arrived, after all attempts. `code` is `connection_failed`, or `timeout` after `timeoutMs`. */
export class ConnectionError extends MillraceError {
  override readonly name = 'ConnectionError';

  constructor(message: string, { timedOut, ...context }: ErrorContext & { timedOut: boolean }) {
    super(message, { ...context, code: timedOut ? 'timeout' : 'connection_failed', retryable: true });
  }
}

/** The `signal` of the call was aborted. `cause` is the reason of the signal. */
export class AbortError extends MillraceError {
  override readonly name = 'AbortError';
  /**
   * The canceled prediction; null if the server accepted no prediction, if the prediction has ended, if no response arrived or if the
   * call cancels no prediction. From then on `predictionId` has the id of the canceled prediction. The promise never rejects.
   */
  readonly canceled: Promise<Prediction | null>;

  constructor(context: ErrorContext & { canceled?: Promise<Prediction | null> | undefined }) {
    super('The call was aborted by its signal.', { ...context, code: 'aborted', retryable: false });
    this.canceled = context.canceled ?? Promise.resolve(null);
  }
}

/** A webhook request does not come from the server, or is too old. Respond with 400. */
export class WebhookError extends MillraceError {
  override readonly name = 'WebhookError';

  constructor(message: string, code: 'invalid_signature' | 'invalid_timestamp' | 'invalid_webhook') {
    super(message, { code, retryable: false });
  }
}

const DELAYED: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);

/** Reads the error of a response. `text` is the body. */
export function errorOf(response: Response, text: string, context: ErrorContext): ApiError {
  const { status, headers } = response;
  const problem = problemIn(text);
  // The detail is a whole sentence, and often repeats the title.
  const message = problem
    ? problem.detail
    : `The response has the status ${status}, and is not from Millrace. Check baseUrl.`;
  return new ApiError(message, {
    ...context,
    status,
    problem,
    retryable: problem?.retryable ?? DELAYED.has(status),
    retryAfterMs: retryAfterIn(headers),
    requestId: problem?.request_id ?? headers.get('request-id') ?? undefined,
  });
}

function problemIn(text: string): Problem | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return hasTexts<Problem>(value, 'code', 'detail') ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a value of JSON is an object with texts of these names. */
export const hasTexts = <Shape extends object>(value: unknown, ...names: (keyof Shape & string)[]): value is Shape =>
  typeof value === 'object' &&
  value !== null &&
  names.every((name) => typeof (value as Record<string, unknown>)[name] === 'string');

/** RFC 9110: seconds, or a date. */
function retryAfterIn(headers: Headers): number | undefined {
  const text = headers.get('retry-after')?.trim();
  if (!text) return undefined;
  if (/^\d+$/.test(text)) return Number(text) * 1_000;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : Math.max(0, at - Date.now());
}
