/**
 * Collects the responses that are ready in one turn of the event loop, and writes them together at the end of the turn.
 * When each response is written alone, the kernel wakes a sleeping reader for each response. The wake-up costs more than
 * the write: a fifth of the time of a cache hit.
 */
import type { Text } from '@millrace/shared/predictions/long-text';
import type { FastifyBaseLogger, FastifyReply } from 'fastify';
import { writeText } from './write-text.ts';

interface ReadyResponse {
  reply: FastifyReply;
  code: number;
  /** Names and values in turn: `generalHeaderList` with further headers. */
  headers: string[];
  body: Text;
  /** `latin1` for stored bytes and for ASCII: latin1 needs no pass over every character, and no flat copy to count the bytes. */
  encoding: 'latin1' | 'utf8';
}

/** This many responses are written before the end of the turn, so that the batch does not fill the memory. */
const BATCH_MAX = 64;

/**
 * Sends a response without Fastify's reply. The headers and a short body go to the socket as one text: a buffer would need a
 * gathering write of two parts. A long body is written in pieces.
 */
export type SendOut = (response: ReadyResponse) => void;

export function createResponseBatch(log: Pick<FastifyBaseLogger, 'error'>): SendOut {
  let waiting: ReadyResponse[] = [];
  let scheduled = false;

  function flush(): void {
    const batch = waiting;
    waiting = [];
    for (const { reply, code, headers, body, encoding } of batch) {
      const length = encoding === 'latin1' || typeof body !== 'string' ? body.length : Buffer.byteLength(body);
      headers.push('content-length', String(length));
      try {
        const raw = reply.raw.writeHead(code, headers);
        if (typeof body === 'string') raw.end(body, encoding);
        else {
          writeText(raw, body);
          raw.end();
        }
      } catch (error) {
        // A response that cannot be written ends its own connection only. The batch continues.
        log.error({ err: error, reqId: reply.request.id }, 'a response could not be written');
        reply.raw.destroy();
      }
    }
  }

  function endTurn(): void {
    scheduled = false;
    flush();
  }

  return (response) => {
    response.reply.hijack();
    waiting.push(response);
    if (waiting.length >= BATCH_MAX) flush();
    else if (!scheduled) {
      scheduled = true;
      setImmediate(endTurn);
    }
  };
}
