/**
 * The imports of a model's `handler.ts`. A handler converts inputs to tensors and tensors to outputs. `canonicalize` runs in the
 * API and decides the identity in the cache. `encode` and `decode` run in an engine.
 */
import { type Static, type TSchema, Type } from 'typebox';
import type { Entities, Entity } from '../entities/entity.ts';
import { InputError } from '../tensors/input-error.ts';
import type { Tensor, TensorMap } from '../tensors/tensor.ts';

export type { Entities, Entity, Static, Tensor, TensorMap, TSchema };
export { InputError, Type };

/** A JSON value, the type of canonical forms and outputs. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export interface HandlerContext {
  entities: Entities;
}

export interface Handler<I extends TSchema = TSchema, C extends Json = Json, O extends TSchema = TSchema> {
  /** The schema of one input. OpenAPI also shows this schema. */
  input: I;
  /** The schema of one output. */
  output: O;
  /**
   * Returns the canonical form of an input. Equal inputs in different spellings must have equal canonical forms. The canonical
   * form is the identity in the cache and the only input of `encode`. Throw InputError for an input without a prediction. Prefer
   * a synchronous function: a promise costs every request, also a cache hit, a turn of the event loop.
   */
  canonicalize(input: Static<I>, context: HandlerContext): C | Promise<C>;
  /** Returns the tensors of n rows. The first dimension of each tensor is n. */
  encode(rows: readonly C[], context: HandlerContext): TensorMap | Promise<TensorMap>;
  /** Returns n outputs from the model's tensors, in the order of the rows. */
  decode(tensors: TensorMap, rows: readonly C[], context: HandlerContext): Static<O>[] | Promise<Static<O>[]>;
}

/** Infers the types of a handler from its schemas. Returns the handler unchanged. */
export function defineHandler<I extends TSchema, C extends Json, O extends TSchema>(
  handler: Handler<I, C, O>,
): Handler<I, C, O> {
  return handler;
}
