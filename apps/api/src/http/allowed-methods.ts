/** Which methods a path has, for the `Allow` of a 405. */
import type { FastifyInstance } from 'fastify';
import findMyWay, { type HTTPMethod } from 'find-my-way';

/**
 * Call it before the routes are registered. The returned function takes the target of a request as the client wrote it.
 * Fastify's own router, filled with the same routes, reads that target: any other reading would differ in some spelling.
 */
export function collectMethods(app: FastifyInstance): (target: string) => string[] {
  const router = findMyWay();
  const methods = new Set<HTTPMethod>();
  app.addHook('onRoute', ({ url, method }) => {
    for (const one of [method].flat() as HTTPMethod[]) {
      if (router.hasRoute(one, url)) continue;
      router.on(one, url, () => {});
      methods.add(one);
    }
  });
  return (target) => [...methods].filter((method) => router.find(method, target) !== null).sort();
}
