/** Adds `X-Content-Type-Options: nosniff` to every response, so that no browser shows JSON with a caller's text as a page. */
import type { FastifyInstance } from 'fastify';

const NAME = 'x-content-type-options';
const VALUE = 'nosniff';

/** For responses that do not pass through Fastify's reply. */
export const NOSNIFF = { [NAME]: VALUE } as const;
/** The name and the value of the header. */
export const NOSNIFF_PAIR = [NAME, VALUE] as const;

/** Covers every reply of Fastify, except replies to requests that Fastify cannot route. */
export function registerNosniff(app: FastifyInstance): void {
  app.addHook('onSend', (_request, reply, _payload, done) => {
    reply.header(NAME, VALUE);
    done();
  });
}
