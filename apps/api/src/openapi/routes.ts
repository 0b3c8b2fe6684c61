/** Serves the OpenAPI document and its page. Both are written once, on the first request. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { documentPage } from './page.ts';
import { getDocs, getOpenApi, getRoot } from './route-schemas.ts';

/** `hasConsole`: the page links to the console. */
export function registerDocuments(app: FastifyInstance, hasConsole: boolean): void {
  let text: string | undefined;
  let page: string | undefined;

  app.get('/openapi.json', { schema: getOpenApi, config: { public: true } }, async (_request, reply) => {
    text ??= JSON.stringify(app.swagger());
    return reply.header('content-type', 'application/json; charset=utf-8').send(text);
  });

  const sendPage = async (_request: FastifyRequest, reply: FastifyReply) => {
    page ??= documentPage(app.swagger(), hasConsole);
    return reply
      .header('content-type', 'text/html; charset=utf-8')
      .header('content-security-policy', "default-src 'none'; style-src 'unsafe-inline'")
      .send(page);
  };
  app.get('/docs', { schema: getDocs, config: { public: true } }, sendPage);
  app.get('/', { schema: getRoot, config: { public: true } }, sendPage);
}
