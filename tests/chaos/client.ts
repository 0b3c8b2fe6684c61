/**
 * The ledger client records its requests and all responses, so that every response can be compared with the expected
 * result.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { rawId } from '../support/raw-id.ts';
import type { TestRequest } from './models.ts';

export type Mode = 'wait' | 'async';

export interface Entry {
  request: TestRequest;
  mode: Mode;
  /** The id of the prediction, when a response had an id. */
  id: string | undefined;
  /** Whether the API returned 202 for the request. */
  promised: boolean;
  /** The first terminal state that the client received. */
  seen: { status: string; output: string; detail: string } | undefined;
  atMs: number;
}

export interface Reply {
  /** 0 when the connection failed. */
  status: number;
  code: string;
  tookMs: number;
  retryAfter: string | null;
  atMs: number;
  entry: Entry | undefined;
}

export interface SubmitOptions {
  mode?: Mode;
  waitS?: number;
  /** Repeats the request with this Idempotency-Key until the API responds, as a client does that needs certainty. */
  idempotencyKey?: string;
  headers?: Record<string, string>;
  timeoutMs?: number;
  body?: Record<string, unknown>;
}

export class LedgerClient {
  readonly #targets: () => readonly string[];
  readonly entries: Entry[] = [];
  readonly replies: Reply[] = [];
  #turn = 0;

  /** `targets` returns the addresses of the APIs that accept requests now. */
  constructor(targets: () => readonly string[]) {
    this.#targets = targets;
  }

  #target(): string {
    const targets = this.#targets();
    this.#turn += 1;
    return targets[this.#turn % targets.length] ?? 'http://127.0.0.1:9';
  }

  async submit(request: TestRequest, options: SubmitOptions = {}): Promise<Reply> {
    const giveUpAt = performance.now() + 60_000;
    for (;;) {
      const reply = await this.#submitOnce(request, options);
      const unsure = reply.status === 0 || reply.status === 409 || reply.status >= 500;
      if (options.idempotencyKey === undefined || !unsure || performance.now() > giveUpAt) return reply;
      await delay(100);
    }
  }

  async #submitOnce(request: TestRequest, options: SubmitOptions): Promise<Reply> {
    const { mode = 'wait', waitS = 15, idempotencyKey, headers = {}, timeoutMs = 30_000 } = options;
    const startedAt = performance.now();
    let status = 0;
    let code = '';
    let retryAfter: string | null = null;
    let entry: Entry | undefined;
    try {
      const response = await fetch(`${this.#target()}/v1/models/${request.model}/predictions`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          ...(mode === 'wait' ? { prefer: `wait=${waitS}` } : {}),
          ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
          ...headers,
        },
        body: JSON.stringify({ input: request.input, ...options.body }),
        signal: AbortSignal.timeout(timeoutMs),
      });
      const body = (await response.json()) as PredictionBody & { code?: string; detail?: string };
      status = response.status;
      code = body.code === undefined ? '' : `${body.code}: ${body.detail}`;
      retryAfter = response.headers.get('retry-after');
      if (status === 200 || status === 202) entry = this.#keep(request, mode, status, body);
    } catch (error) {
      const { message, cause } = error as Error & { cause?: { code?: string } };
      code = cause?.code ?? message;
      status = 0;
    }
    const reply = { status, code, retryAfter, entry, tookMs: performance.now() - startedAt, atMs: Date.now() };
    this.replies.push(reply);
    return reply;
  }

  #keep(request: TestRequest, mode: Mode, status: number, body: PredictionBody): Entry {
    const seen = status === 200 ? seenOf(body) : undefined;
    const entry = { request, mode, id: rawId(body.id), promised: status === 202, seen, atMs: Date.now() };
    this.entries.push(entry);
    return entry;
  }

  /** Reads a prediction and waits at most `waitS` for its end. Returns undefined when the read fails. */
  async fetch(id: string, waitS = 5): Promise<Entry['seen'] | 'pending' | 'unknown' | undefined> {
    try {
      const response = await fetch(`${this.#target()}/v1/predictions/${id}?wait=${waitS}`, {
        signal: AbortSignal.timeout(waitS * 1_000 + 5_000),
      });
      const body = (await response.json()) as PredictionBody;
      // A process of 0.1.0 sends 202 for a prediction that has not ended.
      if (response.status === 200 && body.completed_at !== null) return seenOf(body);
      if (response.status === 200 || response.status === 202) return 'pending';
      return response.status === 404 ? 'unknown' : undefined;
    } catch {
      return undefined;
    }
  }

  /** Counts the replies since a moment (Date.now()) by status. */
  tally(sinceMs = 0): Record<string, number> {
    const tally: Record<string, number> = {};
    for (const { status, code, atMs } of this.replies) {
      if (atMs < sinceMs) continue;
      const name = status === 200 || status === 202 ? String(status) : `${status} ${code}`;
      tally[name] = (tally[name] ?? 0) + 1;
    }
    return tally;
  }
}

interface PredictionBody {
  id: string;
  status: string;
  completed_at: string | null;
  output: unknown;
  error: { code?: string; detail?: string } | null;
  attempts: number;
}

const seenOf = ({ status, output, error }: PredictionBody): NonNullable<Entry['seen']> => ({
  status,
  output: JSON.stringify(output),
  detail: error === null ? '' : `${error.code}: ${error.detail}`,
});
