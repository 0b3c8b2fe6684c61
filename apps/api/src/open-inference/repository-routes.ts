/** The repository extension: lists the models, and takes a model out of service or returns the model to service. */
import type { FastifyInstance } from 'fastify';
import { member } from '../http/validation.ts';
import type { ModelRoute, V2Deps } from './deps.ts';
import { V2Error } from './errors.ts';
import { bodyOf, bodyParser } from './read-body.ts';
import { refuseFiles } from './request.ts';
import * as schemas from './route-schemas.ts';
export function registerRepository(app: FastifyInstance, deps: V2Deps): void {
  const { catalog, tenantOf } = deps;
  const parseJson = bodyParser(deps);
  app.post('/repository/index', { schema: schemas.indexRepository }, async (request) => {
    const ready = member(await bodyOf(request, parseJson), 'ready');
    const { models } = await catalog.models(tenantOf(request));
    return models.flatMap(({ versions }) =>
      versions
        .filter(({ state }) => ready !== true || state === 'ready')
        .map(({ model, version, state, reason }) => ({
          name: model,
          version,
          state: TRITON_STATE[state],
          reason: reason ?? '',
        })),
    );
  });

  for (const [action, served, schema] of [
    ['load', true, schemas.loadModel],
    ['unload', false, schemas.unloadModel],
  ] as const) {
    app.post<ModelRoute>(`/repository/models/:model/${action}`, { schema }, async (request, reply) => {
      const { model } = request.params;
      const { versions } = await catalog.model(tenantOf(request), model);
      refuseFiles(await bodyOf(request, parseJson));
      if (!(await deps.setServed(tenantOf(request), model, served))) {
        const registered = await catalog.model(tenantOf(request), model);
        const serves = registered.defaultVersion !== null;
        const states = versions.map(
          ({ version, state, reason }) => `${version} is ${state}${reason ? `: ${reason}` : ''}`,
        );
        if (serves !== served)
          throw new V2Error(
            400,
            `failed to ${action} '${model}': no version is in a state that allows this; ${states.join('; ')}`,
          );
      }
      catalog.changed();
      return reply.code(200).send();
    });
  }
}

const TRITON_STATE = {
  loading: 'LOADING',
  ready: 'READY',
  failed: 'UNAVAILABLE',
  draining: 'UNLOADING',
  retired: 'UNAVAILABLE',
} as const;
