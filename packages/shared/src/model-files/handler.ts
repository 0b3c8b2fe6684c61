/**
 * What a model's own `handler.ts` is written with. A handler turns inputs that are not tensors into tensors and back:
 * `canonicalize` runs in the API (it decides the cache identity), `encode` and `decode` run in an engine.
 */
import { type Static, type TSchema, Type } from 'typebox';
import type { Tensor, TensorMap } from '../tensors/tensor.ts';

export type { Static, Tensor, TensorMap, TSchema };
export { Type };

/** A JSON value: what canonical forms and outputs are made of. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** A row that inputs name by key. `vector` is there in engines, and absent where only names are needed (the API). */
export interface Entity {
  key: string;
  name: string;
  aliases: readonly string[];
  attributes: Readonly<Record<string, string>>;
  vector?: Float32Array;
}

/** The entities that a model version reads, fixed by its digest. Look-ups never do I/O. */
export interface Entities {
  /** By key, name or alias; case and surrounding or repeated white space do not matter. */
  find(entity: string, nameOrAlias: string): Entity | undefined;
  /** By exact key. */
  get(entity: string, key: string): Entity | undefined;
  /** Names like the one given, nearest first: for "did you mean". */
  near(entity: string, name: string, limit?: number): string[];
  /** All rows, in the order of their file. */
  all(entity: string): readonly Entity[];
}

export interface HandlerContext {
  entities: Entities;
}

/** The input is well-formed JSON of the right schema and still cannot be answered; the caller gets a 422 that says why. */
export class InputError extends Error {
  override name = 'InputError';
  /** JSON pointer into the input, such as `/drug_a`. */
  readonly pointer: string;
  readonly expected: string | undefined;
  readonly got: string | undefined;
  readonly suggestions: readonly string[];
  constructor(problem: { pointer: string; message: string; expected?: string; got?: string; suggestions?: string[] }) {
    super(problem.message);
    this.pointer = problem.pointer;
    this.expected = problem.expected;
    this.got = problem.got;
    this.suggestions = problem.suggestions ?? [];
  }
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
