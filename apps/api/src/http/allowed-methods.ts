/** Which methods a path has, for the `Allow` of a 405. */
import type { FastifyInstance } from 'fastify';
import findMyWay, { type HTTPMethod } from 'find-my-way';

/**
 * Must be called before the routes are registered. The returned function takes the target of a request as sent. A second
 * router of Fastify's kind with the same routes reads the target: any other parser would differ for some spelling.
 */
export function collectMethods(app: FastifyInstance): (target: string) => string[] {
  const router = findMyWay();
  const methods = new Set<HTTPMethod>();
  app.addHook('onRoute', ({ url, method }) => {
    for (const name of [method].flat() as HTTPMethod[]) {
      if (router.hasRoute(name, url)) continue;
      router.on(name, url, () => {});
      methods.add(name);
    }
  });
  return (target) => [...methods].filter((method) => router.find(method, target) !== null).sort();
}
