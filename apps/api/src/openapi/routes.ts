/** Serves the OpenAPI document and its page. Both are written once, on the first request. */
import type { FastifyInstance } from 'fastify';
import { type collectRoutes, openApiDocument } from './document.ts';
import { documentPage } from './page.ts';

export function registerDocuments(app: FastifyInstance, routes: ReturnType<typeof collectRoutes>): void {
  let document: ReturnType<typeof openApiDocument> | undefined;
  let text: string | undefined;
  let page: string | undefined;
  const current = () => (document ??= openApiDocument(routes));

  app.get('/openapi.json', { config: { public: true } }, async (_request, reply) => {
    text ??= JSON.stringify(current());
    return reply.header('content-type', 'application/json; charset=utf-8').send(text);
  });

  app.get('/docs', { config: { public: true } }, async (_request, reply) => {
    page ??= documentPage(current());
    return reply
      .header('content-type', 'text/html; charset=utf-8')
      .header('content-security-policy', "default-src 'none'; style-src 'unsafe-inline'")
      .send(page);
  });
}
