/** One attempt: a POST that is over by its deadline, follows no redirect and reads no more than it must. */
import http from 'node:http';
import https from 'node:https';
import { type Resolve, readTarget, type TargetRules } from '@millrace/shared/webhooks/target';
import { AddressRefused, createGuardedAgents, NameNotResolved } from './guarded-agent.ts';
import type { AttemptError, Outcome } from './retry-policy.ts';

export interface Message {
  url: string;
  body: string;
  /** Signature headers. */
  headers: Readonly<Record<string, string>>;
}

export interface AttemptResult {
  outcome: Outcome;
  latencyMs: number;
  /** First bytes of the reply as text. */
  replyHead: string;
}

export interface Sender {
  /** Never rejects: every failure is an outcome. `signal` ends the attempt early, as a timeout. */
  send(message: Message, signal?: AbortSignal): Promise<AttemptResult>;
  close(): void;
}

export interface SenderOptions extends TargetRules {
  resolve: Resolve;
  /** For all of it: name, connection, request and reply. */
  timeoutMs: number;
  /** How long the body may take once the status, which decides, is there. */
  replyMs?: number;
}

const MAX_REPLY_BYTES = 65_536;
const HEAD_BYTES = 1_024;

/** Interim replies (1xx) to one attempt; more are a flood, which costs CPU for as long as it may last. */
const MAX_INTERIM = 16;

class TimedOut extends Error {}
class ConnectionClosed extends Error {
  code = 'ECONNRESET';
}
class TooManyInterim extends Error {
  code = 'HPE_TOO_MANY_INTERIM';
}

export function createSender(options: SenderOptions): Sender {
  const agents = createGuardedAgents(options);

  async function send(message: Message, signal?: AbortSignal): Promise<AttemptResult> {
    const startedAt = performance.now();
    const deadline = AbortSignal.timeout(options.timeoutMs);
    const ended = signal ? AbortSignal.any([deadline, signal]) : deadline;
    const { outcome, replyHead } = await post(message, ended, false);
    return { outcome, replyHead, latencyMs: performance.now() - startedAt };
  }

  function post(message: Message, ended: AbortSignal, fresh: boolean): Promise<Omit<AttemptResult, 'latencyMs'>> {
    const url = readTarget(message.url, options);
    if (!(url instanceof URL)) return Promise.resolve({ outcome: { error: 'address_refused' }, replyHead: '' });
    if (ended.aborted) return Promise.resolve({ outcome: { error: 'timeout' }, replyHead: '' });
    return new Promise((resolve) => {
      let request: http.ClientRequest | undefined;
      const stop = () => request?.destroy(new TimedOut());
      const finish = (result: Omit<AttemptResult, 'latencyMs'>) => {
        ended.removeEventListener('abort', stop);
        resolve(result);
      };
      let told = false;
      const fail = (error: unknown) => {
        // What becomes of the connection afterwards changes nothing.
        if (told) return;
        told = true;
        // The receiver closed an idle connection just as we wrote to it: it has seen nothing of this.
        if (request?.reusedSocket && !fresh && errorOf(error) === 'connection_reset') {
          ended.removeEventListener('abort', stop);
          return resolve(post(message, ended, true));
        }
        finish({ outcome: { error: errorOf(error) }, replyHead: '' });
      };
      try {
        request = (url.protocol === 'https:' ? https : http).request(url, {
          method: 'POST',
          agent: agents.get(url.protocol, fresh),
          headers: {
            'content-type': 'application/json',
            'content-length': Buffer.byteLength(message.body),
            'user-agent': 'Millrace-Webhooks/1',
            ...message.headers,
          },
        });
      } catch (error) {
        return fail(error);
      }
      ended.addEventListener('abort', stop);
      request.on('error', fail);
      // After all that it tells by other means; only when it told nothing, nobody else ends the attempt.
      request.on('close', () => fail(new ConnectionClosed()));
      // Without a listener Node drops the connection of who switches protocols, and tells of no error.
      request.on('upgrade', (response, socket) => {
        told = true;
        socket.destroy();
        finish({ outcome: { status: response.statusCode ?? 0 }, replyHead: '' });
      });
      let interim = 0;
      request.on('information', () => {
        interim += 1;
        if (interim > MAX_INTERIM) request?.destroy(new TooManyInterim());
      });
      request.on('response', (response) => {
        told = true;
        const outcome: Outcome = { status: response.statusCode ?? 0, retryAfter: response.headers['retry-after'] };
        void readHead(response, ended, options.replyMs ?? 2_000).then((replyHead) => finish({ outcome, replyHead }));
      });
      request.end(message.body);
    });
  }

  return { send, close: () => agents.destroy() };
}

/** The beginning of a reply. Resolves at its end, at 64 KB, after `replyMs` or when the attempt is over. */
function readHead(response: http.IncomingMessage, ended: AbortSignal, replyMs: number): Promise<string> {
  return new Promise((resolve) => {
    let head = Buffer.alloc(0);
    let bytes = 0;
    const done = () => {
      clearTimeout(timer);
      ended.removeEventListener('abort', done);
      // A reply that was read to its end leaves its connection to the next attempt.
      if (!response.complete) response.destroy();
      resolve(printable(head));
    };
    const timer = setTimeout(done, replyMs);
    ended.addEventListener('abort', done);
    response.on('data', (chunk: Buffer) => {
      if (head.length < HEAD_BYTES) head = Buffer.concat([head, chunk.subarray(0, HEAD_BYTES - head.length)]);
      bytes += chunk.length;
      if (bytes > MAX_REPLY_BYTES) done();
    });
    response.on('error', () => {});
    response.on('close', done);
  });
}

/** Postgres' text holds no NUL, and a character cut in two is none. */
function printable(head: Buffer): string {
  return head.toString('utf8').replaceAll('\0', '\uFFFD');
}

function errorOf(error: unknown): AttemptError {
  if (error instanceof TimedOut) return 'timeout';
  if (error instanceof AddressRefused) return 'address_refused';
  if (error instanceof NameNotResolved) return 'dns_failed';
  if (error instanceof AggregateError && error.errors.length > 0) return errorOf(error.errors[0]);
  const code = String((error as { code?: unknown }).code ?? '');
  if (code === 'ECONNRESET' || code === 'EPIPE') return 'connection_reset';
  if (code.startsWith('HPE_')) return 'invalid_response';
  if (/TLS|SSL|CERT|EPROTO|SIGNATURE|SELF_SIGNED/.test(code)) return 'tls_failed';
  return 'connection_failed';
}
