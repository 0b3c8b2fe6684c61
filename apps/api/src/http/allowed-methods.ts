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
      router.on(name, url, () => {}, { parameters: url.split(':').length });
      methods.add(name);
    }
  });
  return (target) => {
    const found = [...methods].flatMap((method) => {
      const route = router.find(method, target);
      return route === null ? [] : [{ method, parameters: Number(route.store?.parameters) }];
    });
    // The path of an action, such as /v1/webhook-deliveries/redeliver, also fits the route of an id, which is not meant.
    const fewest = Math.min(...found.map(({ parameters }) => parameters));
    return found.flatMap(({ method, parameters }) => (parameters === fewest ? [method] : [])).sort();
  };
}
