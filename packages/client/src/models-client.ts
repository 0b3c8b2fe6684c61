/** The routes of models. */
import type { PagedList } from './pages.ts';
import type { Requester } from './requester.ts';
import type { CallOptions, EntityListOptions, ModelListOptions, Schemas } from './types.ts';

const pathOf = (model: string, rest = ''): string => `/v1/models/${encodeURIComponent(model)}${rest}`;

export class ModelsClient {
  readonly #requester: Requester;

  constructor(requester: Requester) {
    this.#requester = requester;
  }

  /** Lists the models by name. */
  list(options: ModelListOptions = {}): PagedList<Schemas['Model']> {
    return this.#requester.list('/v1/models', options);
  }

  get(model: string, options: CallOptions = {}): Promise<Schemas['Model']> {
    return this.#requester.request('GET', '/v1/models/{model}', { ...options, path: { model } });
  }

  /** Lists the versions of a model, newest first. */
  versions(model: string, options: ModelListOptions = {}): PagedList<Schemas['Version']> {
    return this.#requester.list(pathOf(model, '/versions'), options);
  }

  /** Resolves with a version: its tensors, and the JSON Schemas of its input and output. `version` can be an alias. */
  version(model: string, version: string, options: CallOptions = {}): Promise<Schemas['Version']> {
    const path = { model, version };
    return this.#requester.request('GET', '/v1/models/{model}/versions/{version}', { ...options, path });
  }

  /** Lists the entities of a type, such as `drug`. With `q`, the entities with similar names. */
  entities(model: string, type: string, options: EntityListOptions = {}): PagedList<Schemas['Entity']> {
    return this.#requester.list(pathOf(model, `/entities/${encodeURIComponent(type)}`), options);
  }
}
