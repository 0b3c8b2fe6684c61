/** The errors of the API and their JSON: problem details with faults. error-table.ts has the codes. */
import { ERRORS, type ErrorCode } from './error-table.ts';

/** One fault of a request. */
export interface Fault {
  /** The part of the request that has the fault. Default: the body. */
  in?: 'query' | 'path' | 'header';
  /** JSON pointer into the body; in another part, the name of the parameter or header. */
  pointer: string;
  message: string;
  expected?: string;
  got?: string;
  suggestions?: readonly string[];
}

/** A fault in the JSON of a problem: a JSON pointer into the body, or the name of a parameter or header. */
export type ShownFault = Omit<Fault, 'in' | 'pointer'> &
  ({ in: 'body'; pointer: string } | { in: 'query' | 'path' | 'header'; name: string });

const shownFault = ({ in: part, pointer, ...fault }: Fault): ShownFault =>
  part === undefined ? { in: 'body', pointer, ...fault } : { in: part, name: pointer, ...fault };

/** RFC 9457 problem details. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  code: ErrorCode;
  detail: string;
  /** Only in the error of a request. */
  retryable?: boolean;
  errors?: readonly ShownFault[];
  suggestions?: readonly string[];
  /** The prediction that the error concerns, or that may exist although the request failed. */
  prediction_id?: string;
  request_id?: string;
}

/** An error for the caller. Every other thrown error becomes an `internal` problem without details. */
export class ApiError extends Error {
  override name = 'ApiError';
  readonly code: ErrorCode;
  readonly faults: readonly Fault[];
  readonly suggestions: readonly string[];
  /** Seconds for `Retry-After`. */
  readonly retryAfterS: number | undefined;
  /** `Cache-Status`, if the code does not determine the value. */
  readonly cacheStatus: string | undefined;
  /** The public id of the prediction that the error concerns. */
  predictionId: string | undefined;
  constructor(
    code: ErrorCode,
    detail: string,
    more: {
      faults?: readonly Fault[];
      suggestions?: readonly string[];
      retryAfterS?: number;
      cacheStatus?: string;
      predictionId?: string;
      cause?: unknown;
    } = {},
  ) {
    super(detail, { cause: more.cause });
    this.code = code;
    this.faults = more.faults ?? [];
    this.suggestions = more.suggestions ?? [];
    this.retryAfterS = more.retryAfterS;
    this.cacheStatus = more.cacheStatus;
    this.predictionId = more.predictionId;
  }
}

/** Names the prediction that an error concerns, by its public id. Returns the error. */
export function concerning(error: unknown, predictionId: string): unknown {
  if (error instanceof ApiError) error.predictionId ??= predictionId;
  return error;
}

/** The problem of a failed request. */
export function problemOf(error: ApiError, requestId?: string): Problem {
  const { retryable } = ERRORS[error.code];
  return { ...problemOfRow(error), retryable, ...(requestId ? { request_id: requestId } : {}) };
}

/** The problem of one row of a request, which has no `retryable` and no request of its own. */
export function problemOfRow(error: ApiError): Problem {
  return problem(error.code, error.message, {
    ...(error.faults.length > 0 ? { errors: error.faults.map(shownFault) } : {}),
    ...(error.suggestions.length > 0 ? { suggestions: error.suggestions } : {}),
    ...(error.predictionId ? { prediction_id: error.predictionId } : {}),
  });
}

/** The error of a prediction. Only the error of a request has `retryable`: whether the same request may succeed later. */
export function problem(code: ErrorCode, detail: string, more: Partial<Problem> = {}): Problem {
  const { status, title } = ERRORS[code];
  return { type: `urn:millrace:error:${code}`, title, status, code, detail, ...more };
}
