/** Calls the public routes of the API. A failure is an `ApiProblem` with the code of docs/errors.md. */
import { base } from './address.ts';

export interface Fault {
  in: string;
  pointer?: string;
  name?: string;
  message: string;
  expected?: string;
  got?: string;
  suggestions?: string[];
}

/** An RFC 9457 problem, or `unreachable` where no response came. */
export class ApiProblem extends Error {
  override name = 'ApiProblem';
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly requestId: string | null;
  readonly faults: readonly Fault[];
  /** Names that are similar to an unknown name. */
  readonly suggestions: readonly string[];

  constructor(fields: ProblemFields) {
    super(fields.detail ?? fields.title);
    this.status = fields.status ?? 0;
    this.code = fields.code ?? 'internal';
    this.title = fields.title;
    this.requestId = fields.request_id ?? null;
    this.faults = fields.errors ?? [];
    this.suggestions = fields.suggestions ?? [];
  }
}

export interface ProblemFields {
  title: string;
  status?: number;
  code?: string;
  detail?: string;
  request_id?: string;
  errors?: Fault[];
  suggestions?: string[];
}

export interface Reply<T> {
  status: number;
  headers: Headers;
  body: T;
  /** From the request to the last byte of the response, as the browser measured. */
  tookMs: number;
}

type Query = Readonly<Record<string, string | number | null | undefined>>;

export interface Call {
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  query?: Query;
  /** A text and a file are sent as they are, and other values as JSON. */
  body?: unknown;
  headers?: Readonly<Record<string, string>>;
  signal?: AbortSignal;
}

const UNREACHABLE: ProblemFields = {
  title: 'The server cannot be reached',
  code: 'unreachable',
  detail: 'The request got no response. Check the network, and that Millrace is running.',
};

/** The console shows the sign-in when the server refuses its session. */
let onSignedOut: () => void = () => {};
export function whenSignedOut(listener: () => void): void {
  onSignedOut = listener;
}

export const apiUrl = (path: string, query: Query = {}): string => {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== '');
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return `${base}${path}${text === '' ? '' : `?${text}`}`;
};

/** `path` begins with a slash, such as `/v1/models`. */
export async function call<T>(
  path: string,
  { method = 'GET', query, body, headers, signal }: Call = {},
): Promise<Reply<T>> {
  const startedAt = performance.now();
  let response: Response;
  let text: string;
  try {
    response = await fetch(apiUrl(path, query), {
      method,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        // The server changes nothing for the cookie alone: a page of another site cannot send this header.
        ...(method === 'GET' ? {} : { 'millrace-console': '1' }),
        ...headers,
      },
      ...(body === undefined
        ? {}
        : { body: typeof body === 'string' || body instanceof Blob ? body : JSON.stringify(body) }),
      ...(signal ? { signal } : {}),
      credentials: 'same-origin',
    });
    text = await response.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiProblem(UNREACHABLE);
  }
  const tookMs = performance.now() - startedAt;
  const parsed = parse(text);
  if (response.ok) return { status: response.status, headers: response.headers, body: parsed as T, tookMs };
  if (response.status === 401 && !path.startsWith('/console/')) onSignedOut();
  throw new ApiProblem({
    title: `The server responded with ${response.status}`,
    ...(typeof parsed === 'object' ? (parsed as Partial<ProblemFields>) : {}),
    status: response.status,
  });
}

export async function get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  return (await call<T>(path, { query, ...(signal ? { signal } : {}) })).body;
}

/** A proxy in between can respond with a page instead of JSON. */
function parse(text: string): unknown {
  try {
    return text === '' ? null : JSON.parse(text);
  } catch {
    return null;
  }
}
