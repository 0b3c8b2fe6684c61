/** The types of a request to any route of the OpenAPI document. */
import type { paths } from './openapi.ts';
import type { Method } from './transport.ts';
import type { CallOptions } from './types.ts';

/** The paths that have a method. */
export type PathOf<M extends Method> = {
  [Path in keyof paths]: paths[Path] extends Record<Lowercase<M>, { responses: unknown }> ? Path : never;
}[keyof paths];

type OperationOf<M extends Method, Path extends keyof paths> = paths[Path][Lowercase<M> & keyof paths[Path]];

type Parameters<Operation, Place extends string> = Operation extends { parameters: Record<Place, infer Values> }
  ? Values
  : Operation extends { parameters: { [P in Place]?: infer Values } }
    ? Partial<NonNullable<Values>>
    : never;

type JsonIn<Holder> = Holder extends { content: { 'application/json': infer Body } } ? Body : undefined;

export type BodyOf<M extends Method, Path extends keyof paths> =
  OperationOf<M, Path> extends { requestBody: infer Body }
    ? JsonIn<Body>
    : OperationOf<M, Path> extends { requestBody?: infer Body }
      ? JsonIn<NonNullable<Body>> | undefined
      : undefined;

/** The body of the successful response. */
export type ResultOf<M extends Method, Path extends keyof paths> =
  OperationOf<M, Path> extends { responses: infer Responses }
    ? { [Status in keyof Responses & (200 | 201 | 202 | 204)]: JsonIn<Responses[Status]> }[keyof Responses &
        (200 | 201 | 202 | 204)]
    : never;

export type RequestOptions<M extends Method, Path extends keyof paths> = CallOptions & {
  query?: Parameters<OperationOf<M, Path>, 'query'>;
} & (Path extends `${string}{${string}` ? { path: Parameters<OperationOf<M, Path>, 'path'> } : { path?: undefined }) &
  (undefined extends BodyOf<M, Path> ? { body?: BodyOf<M, Path> } : { body: BodyOf<M, Path> });
