/** Builds requests of the API: paths, queries, and one idempotency key for each POST. */
import type { paths } from './openapi.ts';
import { type Page, PagedList } from './pages.ts';
import type { BodyOf, PathOf, RequestOptions, ResultOf } from './request-types.ts';
import { newKey } from './submission.ts';
import { type Method, Transport, type TransportOptions } from './transport.ts';
import type { CallOptions } from './types.ts';

/** A request whose types the caller knows. */
export interface AnyRequest {
  method: Method;
  /** The path without a query. */
  path: string;
  /** The parameters of the query in camelCase or as on the wire, beside the options of the call. */
  options?: CallOptions;
  body?: unknown;
  predictionId?: string;
}

export class Requester {
  readonly transport: Transport;

  constructor(options: TransportOptions) {
    this.transport = new Transport(options);
  }

  /**
   * Sends a request to a route of the OpenAPI document: `request('GET', '/v1/models/{model}', { path: { model: 'iris' } })`. Resolves with
   * the body of the response.
   */
  request<M extends Method, Path extends PathOf<M> & keyof paths>(
    method: M,
    path: Path,
    ...[options]: object extends RequestOptions<M, Path> ? [RequestOptions<M, Path>?] : [RequestOptions<M, Path>]
  ): Promise<ResultOf<M, Path>> {
    const { path: parameters, query, body, signal, headers } = (options ?? {}) as LooseOptions<BodyOf<M, Path>>;
    const call = { method, path: expand(path, parameters), options: { ...query, signal, headers }, body };
    return this.send(call) as Promise<ResultOf<M, Path>>;
  }

  async send({ method, path, options = {}, body, predictionId }: AnyRequest): Promise<unknown> {
    const { signal, headers, ...query } = options;
    const idempotencyKey = method === 'POST' ? newKey() : undefined;
    const reply = await this.transport.send({
      method,
      path: path + queryOf(query),
      body,
      headers: { 'idempotency-key': idempotencyKey, ...headers },
      signal,
      predictionId,
      idempotencyKey,
    });
    return reply.body;
  }

  list<Item>(path: string, options: CallOptions & { cursor?: string }): PagedList<Item> {
    const load = (cursor: string | undefined) => {
      const page: CallOptions & { cursor?: string | undefined } = { ...options, cursor };
      return this.send({ method: 'GET', path, options: page }) as Promise<Page<Item>>;
    };
    return new PagedList(load, options.cursor);
  }
}

interface LooseOptions<Body> extends CallOptions {
  path?: Readonly<Record<string, string>>;
  query?: object;
  body?: Body;
}

function expand(path: string, parameters: Readonly<Record<string, string>> = {}): string {
  return path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = parameters[name];
    if (value === undefined || value === '') throw new TypeError(`${path} needs ${name}.`);
    return encodeURIComponent(value);
  });
}

/** Writes a query. Names in camelCase become names of the API; the key after `metadata.` stays unchanged. */
export function queryOf(query: object): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === null) continue;
    const key = name.startsWith('metadata.') ? name : name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    parameters.append(key, textOf(value));
  }
  return parameters.size === 0 ? '' : `?${parameters}`;
}

function textOf(value: unknown): string {
  if (value instanceof Date) return value.toISOString();
  return Array.isArray(value) ? value.map(textOf).join(',') : String(value);
}
