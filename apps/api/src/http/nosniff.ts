/** `X-Content-Type-Options: nosniff` on every response: no browser guesses that JSON with a caller's text in it is a page. */
import type { FastifyInstance } from 'fastify';

const NAME = 'x-content-type-options';
const VALUE = 'nosniff';

/** For responses that do not pass through Fastify's reply. */
export const NOSNIFF = { [NAME]: VALUE } as const;
/** The same as a name and a value in turn. */
export const NOSNIFF_PAIR = [NAME, VALUE] as const;

/** Covers every reply that Fastify sends for a request it could route. */
export function registerNosniff(app: FastifyInstance): void {
  app.addHook('onSend', (_request, reply, _payload, done) => {
    reply.header(NAME, VALUE);
    done();
  });
}
