/** The bodies of actions, such as a cancel: optional, and without unknown members. */
import { type TProperties, Type } from 'typebox';

/** Marks the schema of a body that a request can omit. OpenAPI permits members that begin with `x-`. */
export const OPTIONAL_BODY = 'x-optional-body';

/** The schema of the body of an action. `$id` is its name in the OpenAPI document. Without `properties`, the body is `{}` or absent. */
export const actionBody = <T extends TProperties>($id: string, properties: T) =>
  Type.Object(properties, { $id, additionalProperties: false, [OPTIONAL_BODY]: true });

export const NoParameters = actionBody('NoParameters', {});

export const isOptionalBody = (schema: unknown): boolean =>
  typeof schema === 'object' && schema !== null && OPTIONAL_BODY in schema;

/** The body of a request of an action. Fastify gives no body as undefined, and the types of Fastify do not know an absent body. */
export const bodyOf = <T>(request: { body: T }): Partial<T> => request.body ?? {};
