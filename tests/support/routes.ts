/** Reads the routes from the printed tree of Fastify's router, not from the code that registers them. */
import type { FastifyInstance } from 'fastify';

export interface Route {
  method: string;
  /** The path with parameters as `:name`. */
  url: string;
}

const INDENT = 4;

/** Every method of every route, including HEAD. The application must be ready. */
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
      // The tree shows the wildcard of `/console/*` without its slash.
      above.push(part === '*' ? '/*' : part);
      const url = above.join('');
      return methods === '' ? [] : methods.split(', ').map((method) => ({ method, url }));
    });
}
