/** Sends requests, and sends a request again where the failure may pass. */
import { AbortError, ApiError, ConnectionError, type ErrorContext, errorOf, MillraceError } from './errors.ts';
import { readEvents, type ServerEvent } from './event-source.ts';
import { backoffMs, Deadline, pause } from './timing.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export interface TransportOptions {
  baseUrl?: string | URL;
  apiKey?: string | undefined;
  /** The `fetch` of the platform if absent. */
  fetch?: typeof globalThis.fetch | undefined;
  /** The number of repetitions of a request. 5 if absent. */
  maxRetries?: number;
  /** The longest time of one attempt in milliseconds, to the end of its response. 60,000 if absent. */
  timeoutMs?: number;
  /** Sent with every request. */
  headers?: Readonly<Record<string, string>>;
}

export interface Call extends Omit<ErrorContext, 'cause'> {
  method: Method;
  /** The path with its query. */
  path: string;
  /** Sent as JSON. */
  body?: unknown;
  headers?: Readonly<Record<string, string | undefined>> | undefined;
  signal?: AbortSignal | undefined;
  /** The time for which the server may hold its response. */
  holdMs?: number;
  maxRetries?: number;
  timeoutMs?: number;
  /** The time in Unix milliseconds after which no further attempt is useful. */
  usefulUntil?: number | undefined;
  /** Whether a browser sends the request also while the page closes. */
  keepalive?: boolean;
  /** Called before each attempt. A MillraceError of the function ends the call. */
  onAttempt?: () => void;
}

export interface Reply {
  status: number;
  headers: Headers;
  /** The parsed JSON, or the text of another type; undefined for an empty body. */
  body: unknown;
}

/** A longer Retry-After is left to the caller: a call that seems to hang helps nobody. */
const LONGEST_RETRY_AFTER_MS = 60_000;
/** The server sends the present state at once. A stream without it passes through a proxy that buffers. */
const FIRST_EVENT_MS = 10_000;
/** The server sends a comment every 15 s. */
const SILENCE_MS = 40_000;
const EVENT_STREAM = 'text/event-stream';

export class Transport {
  readonly #base: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #fetch: typeof globalThis.fetch;
  readonly #maxRetries: number;
  readonly #timeoutMs: number;

  constructor(options: TransportOptions = {}) {
    const { baseUrl = 'http://localhost:8080', apiKey, headers = {}, maxRetries = 5, timeoutMs = 60_000 } = options;
    this.#base = baseOf(baseUrl);
    this.#headers = apiKey === undefined ? headers : { authorization: bearer(apiKey), ...headers };
    // `fetch` of a browser must be called without a receiver.
    const call = options.fetch ?? globalThis.fetch;
    this.#fetch = (...request) => call(...request);
    this.#maxRetries = maxRetries;
    this.#timeoutMs = timeoutMs;
  }

  /** Sends the request until a response decides. Every attempt has the same headers, and so the same idempotency key. */
  async send(call: Call): Promise<Reply> {
    const { signal, maxRetries = this.#maxRetries, usefulUntil = Number.POSITIVE_INFINITY } = call;
    const request = this.#requestOf(call);
    for (let attempt = 1; ; attempt += 1) {
      throwIfAborted(call);
      try {
        return await this.#attempt(call, request);
      } catch (error) {
        throwIfAborted(call);
        const wait = attempt > maxRetries ? undefined : delayBefore(attempt, error);
        if (wait === undefined || Date.now() + wait > usefulUntil) throw error;
        await pause(wait, signal);
      }
    }
  }

  async #attempt(call: Call, request: RequestInit): Promise<Reply> {
    call.onAttempt?.();
    const deadline = new Deadline((call.timeoutMs ?? this.#timeoutMs) + (call.holdMs ?? 0), call.signal);
    try {
      const response = await this.#fetch(this.#base + call.path, { ...request, signal: deadline.signal });
      const text = await response.text();
      if (!response.ok) throw errorOf(response, text, call);
      return { status: response.status, headers: response.headers, body: bodyOf(response, text) };
    } catch (error) {
      throw this.#failureOf(error, call, deadline.expired);
    } finally {
      deadline.close();
    }
  }

  /** Returns the events of one stream. Ends when the server ends the stream, and throws when the connection breaks or is silent. */
  async *events(call: Call): AsyncGenerator<ServerEvent> {
    throwIfAborted(call);
    const request = this.#requestOf({ ...call, headers: { ...call.headers, accept: EVENT_STREAM } });
    const deadline = new Deadline(FIRST_EVENT_MS, call.signal);
    try {
      const response = await this.#fetch(this.#base + call.path, { ...request, signal: deadline.signal });
      if (!response.ok) throw errorOf(response, await response.text(), call);
      if (response.status === 204) return;
      const type = response.headers.get('content-type');
      if (!response.body || !type?.startsWith(EVENT_STREAM)) throw new TypeError(`${type} is not ${EVENT_STREAM}`);
      yield* readEvents(response.body, () => deadline.extend(SILENCE_MS));
    } catch (error) {
      throwIfAborted(call);
      throw this.#failureOf(error, call, deadline.expired);
    } finally {
      deadline.close();
    }
  }

  /** Throws for a body or a header that cannot be sent: every attempt would fail in the same way. */
  #requestOf({ method, body, headers, keepalive }: Call): RequestInit {
    const all = new Headers();
    const json = 'application/json';
    const type = body === undefined ? undefined : json;
    for (const [name, value] of Object.entries({ accept: json, 'content-type': type, ...this.#headers, ...headers }))
      if (value !== undefined) all.set(name, value);
    return { method, headers: all, body: JSON.stringify(body), keepalive: keepalive ?? false };
  }

  #failureOf(error: unknown, call: Call, timedOut: boolean): MillraceError {
    if (error instanceof MillraceError) return error;
    const { method, path, predictionId, idempotencyKey } = call;
    const reason = timedOut
      ? 'in time. Raise timeoutMs'
      : `(${reasonOf(error)}). Check that the server runs at baseUrl`;
    const message = `${method} ${this.#base}${path.split('?')[0]} got no complete response ${reason}, or try again.`;
    return new ConnectionError(message, { timedOut, predictionId, idempotencyKey, cause: error });
  }
}

function throwIfAborted({ signal, predictionId, idempotencyKey }: Call): void {
  if (signal?.aborted) throw new AbortError({ predictionId, idempotencyKey, cause: signal.reason });
}

/** The delay before the next attempt; undefined if another attempt cannot succeed soon. */
export function delayBefore(attempt: number, failure: unknown): number | undefined {
  if (!(failure instanceof MillraceError) || !failure.retryable) return undefined;
  const requested = failure instanceof ApiError ? failure.retryAfterMs : undefined;
  if (requested === undefined) return backoffMs(attempt);
  // Clients that were refused together do not return together.
  return requested > LONGEST_RETRY_AFTER_MS ? undefined : requested + Math.random() * Math.max(250, requested / 10);
}

function bodyOf({ headers }: Response, text: string): unknown {
  if (text === '') return undefined;
  return /[/+]json\b/.test(headers.get('content-type') ?? '') ? JSON.parse(text) : text;
}

/** Node.js hides the reason of a failed fetch in `cause`. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message} (${error.cause.message})` : error.message;
}

function baseOf(baseUrl: string | URL): string {
  const text = String(baseUrl).replace(/\/+$/, '');
  const page = globalThis as { location?: { href: string } };
  // A browser takes a path too, such as '' for the origin of the page.
  const { username, password, search, hash } = new URL(text, page.location?.href);
  if (username || password || search || hash)
    throw new TypeError('baseUrl has a user, a query or a fragment. Pass https://HOST.');
  return text;
}

function bearer(apiKey: string): string {
  // The message of fetch for an invalid header would contain the key.
  if (!/^[\x21-\x7e]+$/.test(apiKey)) throw new TypeError('apiKey has characters that no API key has.');
  return `Bearer ${apiKey}`;
}
