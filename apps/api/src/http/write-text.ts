/** Writes text that may be long. The pieces of a long text are written as they are and are never joined. */
import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import type { LongText, Text } from '@millrace/shared/predictions/long-text';
import type { FastifyReply } from 'fastify';

/** Returns false when the caller must wait for `drain` before the next write. */
export function writeText(raw: ServerResponse, text: Text): boolean {
  if (typeof text === 'string') return raw.write(text);
  raw.cork();
  let mayGoOn = true;
  for (const piece of text.pieces) mayGoOn = raw.write(piece);
  raw.uncork();
  return mayGoOn;
}

/** Sends a body through the reply of Fastify. */
export function sendText(reply: FastifyReply, body: string | Buffer | LongText): FastifyReply {
  if (typeof body === 'string' || Buffer.isBuffer(body)) return reply.send(body);
  return reply.header('content-length', String(body.length)).send(Readable.from(body.pieces));
}
