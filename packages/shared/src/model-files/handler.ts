/**
 * What a model's own `handler.ts` is written with. A handler turns inputs that are not tensors into tensors and back:
 * `canonicalize` runs in the API (it decides the cache identity), `encode` and `decode` run in an engine.
 */
import { type Static, type TSchema, Type } from 'typebox';
import type { Entities, Entity } from '../entities/entity.ts';
import { InputError } from '../tensors/input-error.ts';
import type { Tensor, TensorMap } from '../tensors/tensor.ts';

export type { Entities, Entity, Static, Tensor, TensorMap, TSchema };
export { InputError, Type };

/** A JSON value: what canonical forms and outputs are made of. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export interface HandlerContext {
  entities: Entities;
}

export interface Handler<I extends TSchema = TSchema, C extends Json = Json, O extends TSchema = TSchema> {
  /** One input; also what OpenAPI shows. */
  input: I;
  /** One output. */
  output: O;
  /**
   * The canonical form of an input: equal questions give equal canonical forms, however they were spelt. It is the
   * cache identity and all that `encode` gets to see. Throws InputError on an input that cannot be answered.
   * Stay synchronous where you can: a promise costs every request of the hit path a turn of the event loop.
   */
  canonicalize(input: Static<I>, context: HandlerContext): C | Promise<C>;
  /** Tensors for n rows, each with n as its first dimension. */
  encode(rows: readonly C[], context: HandlerContext): TensorMap | Promise<TensorMap>;
  /** n outputs from the model's tensors, in the order of the rows. */
  decode(tensors: TensorMap, rows: readonly C[], context: HandlerContext): Static<O>[] | Promise<Static<O>[]>;
}

/** Types a handler by its schemas; at run time it gives back what it got. */
export function defineHandler<I extends TSchema, C extends Json, O extends TSchema>(
  handler: Handler<I, C, O>,
): Handler<I, C, O> {
  return handler;
}
