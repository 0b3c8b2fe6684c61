/** Sends one webhook message. Each POST ends by its deadline, follows no redirect, and reads only the start of the response. */
import type { Agent, ClientRequest, IncomingMessage } from 'node:http';
import https from 'node:https';
import { http } from '@millrace/shared/process/node-http';
import { AddressRefused, createGuardedAgents, NameNotResolved } from '@millrace/shared/webhooks/guarded-agent';
import { type Resolve, readTarget, type TargetRules } from '@millrace/shared/webhooks/target';
import type { AttemptError, AttemptOutcome } from './retry-policy.ts';

export interface Message {
  url: string;
  body: string;
  /** Signature headers. */
  headers: Readonly<Record<string, string>>;
}

export interface AttemptResult {
  outcome: AttemptOutcome;
  latencyMs: number;
  /** The first bytes of the response body as text. */
  replyHead: string;
}

type Reply = Omit<AttemptResult, 'latencyMs'>;

export interface Sender {
  /** Never rejects: every failure is an outcome. `signal` ends the attempt early, with the outcome `timeout`. */
  send(message: Message, signal?: AbortSignal): Promise<AttemptResult>;
  close(): void;
}

export interface SenderOptions extends TargetRules {
  resolve: Resolve;
  /** Limit for the whole attempt: name look-up, connection, request and response. */
  timeoutMs: number;
  /** Limit for the response body after the status, which decides the outcome, has arrived. */
  replyMs?: number;
}

const MAX_REPLY_BYTES = 65_536;
const HEAD_BYTES = 1_024;
const MAX_HEADER_BYTES = 1_048_576;

/** The interim responses (1xx) that one attempt accepts. A flood of interim responses costs CPU until the timeout. */
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

  async function post(message: Message, ended: AbortSignal): Promise<Reply> {
    const url = readTarget(message.url, options);
    if (!(url instanceof URL)) return failed('address_refused');
    for (const fresh of [false, true]) {
      if (ended.aborted) return failed('timeout');
      const agent = agents.get(url.protocol, fresh);
      const reply = await exchange({ url, message, ended, agent, replyMs: options.replyMs ?? 2_000 });
      if (reply !== STALE_CONNECTION) return reply;
    }
    return failed('connection_reset');
  }

  return {
    async send(message, signal) {
      const startedAt = performance.now();
      const deadline = AbortSignal.timeout(options.timeoutMs);
      const reply = await post(message, signal ? AbortSignal.any([deadline, signal]) : deadline);
      return { ...reply, latencyMs: performance.now() - startedAt };
    },
    close: () => agents.destroy(),
  };
}

const failed = (error: AttemptError): Reply => ({ outcome: { error }, replyHead: '' });

/** The receiver closed an idle connection during the write. The receiver has not seen the message. */
const STALE_CONNECTION = 'stale connection';

interface ExchangeParams {
  url: URL;
  message: Message;
  /** Aborts at the end of the attempt. */
  ended: AbortSignal;
  agent: Agent;
  replyMs: number;
}

/** One request and its response. Never rejects. */
function exchange({ url, message, ended, agent, replyMs }: ExchangeParams): Promise<Reply | typeof STALE_CONNECTION> {
  return new Promise((resolve) => {
    let request: ClientRequest | undefined;
    const stop = () => request?.destroy(new TimedOut());
    const finish = (reply: Reply | typeof STALE_CONNECTION) => {
      ended.removeEventListener('abort', stop);
      resolve(reply);
    };
    let decided = false;
    const fail = (error: unknown) => {
      // After the outcome is known, errors of the connection no longer matter.
      if (decided) return;
      decided = true;
      const code = errorOf(error);
      finish(request?.reusedSocket && code === 'connection_reset' ? STALE_CONNECTION : failed(code));
    };
    try {
      request = openRequest(url, message, agent);
    } catch (error) {
      return fail(error);
    }
    ended.addEventListener('abort', stop);
    request.on('error', fail);
    // 'close' follows all other events. Without any other event only 'close' ends the attempt.
    request.on('close', () => fail(new ConnectionClosed()));
    // Without this listener Node closes a connection that switches protocols and reports no error.
    request.on('upgrade', (response, socket) => {
      decided = true;
      socket.destroy();
      finish({ outcome: { status: response.statusCode ?? 0 }, replyHead: '' });
    });
    let interim = 0;
    request.on('information', () => {
      interim += 1;
      if (interim > MAX_INTERIM) request?.destroy(new TooManyInterim());
    });
    request.on('response', (response) => {
      decided = true;
      const outcome: AttemptOutcome = { status: response.statusCode ?? 0, retryAfter: response.headers['retry-after'] };
      void readHead(response, ended, replyMs).then((replyHead) => finish({ outcome, replyHead }));
    });
    request.end(message.body);
  });
}

function openRequest(url: URL, message: Message, agent: Agent): ClientRequest {
  return (url.protocol === 'https:' ? https : http).request(url, {
    method: 'POST',
    agent,
    // Only the status decides. The default limit of 16 KiB of headers would refuse receivers with many cookies.
    maxHeaderSize: MAX_HEADER_BYTES,
    // Receivers on small devices send headers that RFC 9110 forbids. No byte of a response is trusted or sent on.
    insecureHTTPParser: true,
    headers: {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(message.body),
      'user-agent': 'Millrace-Webhooks/1',
      ...message.headers,
    },
  });
}

/** The start of a response body. Resolves at the end of the body, after 64 KB, after `replyMs`, or at the end of the attempt. */
function readHead(response: IncomingMessage, ended: AbortSignal, replyMs: number): Promise<string> {
  return new Promise((resolve) => {
    let head = Buffer.alloc(0);
    let bytes = 0;
    const done = () => {
      clearTimeout(timer);
      ended.removeEventListener('abort', done);
      // The connection of a completely read response is free for the next attempt.
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

/** Text that Postgres can store: without NUL. An incomplete character at the end becomes U+FFFD. */
function printable(head: Buffer): string {
  return head.toString('utf8').replaceAll('\0', '\uFFFD');
}

function errorOf(error: unknown): AttemptError {
  if (error instanceof TimedOut) return 'timeout';
  if (error instanceof AddressRefused) return 'address_refused';
  if (error instanceof NameNotResolved) return 'dns_failed';
  if (error instanceof AggregateError && error.errors.length > 0) return errorOf(error.errors[0]);
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'ECONNRESET' || code === 'EPIPE') return 'connection_reset';
  if (code.startsWith('HPE_')) return 'invalid_response';
  if (/TLS|SSL|CERT|EPROTO|SIGNATURE|SELF_SIGNED/.test(code)) return 'tls_failed';
  return 'connection_failed';
}
