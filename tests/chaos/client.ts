/** The ledger client: keeps what it asked and everything it was told, so that each answer can be held against the truth. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Question } from './models.ts';

export type Mode = 'wait' | 'async';

export interface Entry {
  question: Question;
  mode: Mode;
  /** Of the prediction, once one was told. */
  id: string | undefined;
  /** Whether a 202 was given for it. */
  promised: boolean;
  /** The terminal state that was told first. */
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

export interface AskOptions {
  mode?: Mode;
  waitS?: number;
  /** Repeats the request under this Idempotency-Key until it is answered, as a client that must know does. */
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

  /** `targets` gives the addresses of the APIs that may be asked now. */
  constructor(targets: () => readonly string[]) {
    this.#targets = targets;
  }

  #target(): string {
    const targets = this.#targets();
    this.#turn += 1;
    return targets[this.#turn % targets.length] ?? 'http://127.0.0.1:9';
  }

  async ask(question: Question, options: AskOptions = {}): Promise<Reply> {
    const giveUpAt = performance.now() + 60_000;
    for (;;) {
      const reply = await this.#askOnce(question, options);
      const unsure = reply.status === 0 || reply.status === 409 || reply.status >= 500;
      if (options.idempotencyKey === undefined || !unsure || performance.now() > giveUpAt) return reply;
      await delay(100);
    }
  }

  async #askOnce(question: Question, options: AskOptions): Promise<Reply> {
    const { mode = 'wait', waitS = 15, idempotencyKey, headers = {}, timeoutMs = 30_000 } = options;
    const startedAt = performance.now();
    let status = 0;
    let code = '';
    let retryAfter: string | null = null;
    let entry: Entry | undefined;
    try {
      const response = await fetch(`${this.#target()}/v1/models/${question.model}/predictions`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          ...(mode === 'wait' ? { prefer: `wait=${waitS}` } : {}),
          ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
          ...headers,
        },
        body: JSON.stringify({ input: question.input, ...options.body }),
        signal: AbortSignal.timeout(timeoutMs),
      });
      const body = (await response.json()) as Told & { code?: string; detail?: string };
      status = response.status;
      code = body.code === undefined ? '' : `${body.code}: ${body.detail}`;
      retryAfter = response.headers.get('retry-after');
      if (status === 200 || status === 202) entry = this.#keep(question, mode, status, body);
    } catch (error) {
      const { message, cause } = error as Error & { cause?: { code?: string } };
      code = cause?.code ?? message;
      status = 0;
    }
    const reply = { status, code, retryAfter, entry, tookMs: performance.now() - startedAt, atMs: Date.now() };
    this.replies.push(reply);
    return reply;
  }

  #keep(question: Question, mode: Mode, status: number, body: Told): Entry {
    const seen = status === 200 ? seenOf(body) : undefined;
    const entry = { question, mode, id: body.id, promised: status === 202, seen, atMs: Date.now() };
    this.entries.push(entry);
    return entry;
  }

  /** Fetches a prediction, waiting for its end at most `waitS`; undefined when that could not be had. */
  async fetch(id: string, waitS = 5): Promise<Entry['seen'] | 'pending' | 'unknown' | undefined> {
    try {
      const response = await fetch(`${this.#target()}/v1/predictions/${id}?wait=${waitS}`, {
        signal: AbortSignal.timeout(waitS * 1_000 + 5_000),
      });
      const body = (await response.json()) as Told;
      if (response.status === 200) return seenOf(body);
      if (response.status === 202) return 'pending';
      return response.status === 404 ? 'unknown' : undefined;
    } catch {
      return undefined;
    }
  }

  /** Replies since a moment (Date.now()), by status. */
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

interface Told {
  id: string;
  status: string;
  output: unknown;
  error: { code?: string; detail?: string } | null;
  attempts: number;
}

const seenOf = ({ status, output, error }: Told): NonNullable<Entry['seen']> => ({
  status,
  output: JSON.stringify(output),
  detail: error === null ? '' : `${error.code}: ${error.detail}`,
});
