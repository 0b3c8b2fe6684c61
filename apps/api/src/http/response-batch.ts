/**
 * Answers that are ready in one turn of the event loop, written to their sockets one right after the other when it ends.
 * Written as they come, with the work of the next between them, each finds its reader asleep again, and to wake it costs
 * the kernel more than the write: a fifth of all the time of a cache hit.
 */
import type { Text } from '@millrace/shared/predictions/long-text';
import type { FastifyBaseLogger, FastifyReply } from 'fastify';
import { writeText } from './write-text.ts';

interface Answer {
  reply: FastifyReply;
  code: number;
  headers: string[];
  body: Text;
  encoding: 'latin1' | 'utf8';
}

/** So many go out at once, whether the turn has ended or not: a crowd's answers are not all to be held in memory. */
const AT_ONCE = 64;

/**
 * Sends past Fastify's reply: headers (names and values in turn) and body go to the socket as one text, which is copied,
 * where a buffer would take a gathering write of two parts; a long body goes out in its pieces. `encoding` is latin1 for stored
 * bytes, which then need no pass over every character.
 */
export type SendOut = (
  reply: FastifyReply,
  code: number,
  headers: string[],
  body: Text,
  encoding: 'latin1' | 'utf8',
) => void;

export function createResponseBatch(log: Pick<FastifyBaseLogger, 'error'>): SendOut {
  let waiting: Answer[] = [];
  let scheduled = false;

  function flush(): void {
    const answers = waiting;
    waiting = [];
    for (const { reply, code, headers, body, encoding } of answers) {
      const length = encoding === 'latin1' || typeof body !== 'string' ? body.length : Buffer.byteLength(body);
      headers.push('x-content-type-options', 'nosniff', 'content-type', 'application/json; charset=utf-8');
      headers.push('content-length', String(length));
      try {
        const raw = reply.raw.writeHead(code, headers);
        if (typeof body === 'string') raw.end(body, encoding);
        else {
          writeText(raw, body);
          raw.end();
        }
      } catch (error) {
        // One that cannot be written ends its own connection, and holds up no other.
        log.error({ err: error, reqId: reply.request.id }, 'an answer could not be written');
        reply.raw.destroy();
      }
    }
  }

  function endTurn(): void {
    scheduled = false;
    flush();
  }

  return (reply, code, headers, body, encoding) => {
    reply.hijack();
    waiting.push({ reply, code, headers, body, encoding });
    if (waiting.length >= AT_ONCE) flush();
    else if (!scheduled) {
      scheduled = true;
      setImmediate(endTurn);
    }
  };
}
