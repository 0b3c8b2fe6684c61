/** The routes that Fastify's router holds, read from its own print of them and not from the code that registers them. */
import type { FastifyInstance } from 'fastify';

export interface Route {
  method: string;
  /** With parameters as `:name`. */
  url: string;
}

const INDENT = 4;

/** Every method of every route, HEAD included. The application must be ready. */
export function routesOf(app: FastifyInstance): Route[] {
  const above: string[] = [];
  return app
    .printRoutes({ commonPrefix: false })
    .split('\n')
    .flatMap((line) => {
      const found = /^([│ ]*)[├└]── (\S+)(?: \((.+)\))?$/.exec(line);
      if (!found) return [];
      const [, before = '', part = '', methods = ''] = found;
      const depth = before.length / INDENT;
      above.length = depth;
      above.push(part);
      const url = above.join('');
      return methods === '' ? [] : methods.split(', ').map((method) => ({ method, url }));
    });
}
