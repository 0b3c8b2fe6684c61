import type { Inputs } from './inputs.ts';
import type { Fresh } from './load/load.ts';
import { type Pair, predictionsPath } from './rivals/model.ts';

/** The requests of a load, and the check of their responses. */
export interface Requests {
  path: string;
  headers: Readonly<Record<string, string>>;
  bodies: readonly (string | Buffer)[];
  fresh?: Fresh;
  /** The reason why the response to the body of this index is wrong, or undefined when the response is correct. */
  fault(index: number, response: BenchResponse): Promise<string | undefined>;
}

export interface BenchResponse {
  headers: Headers;
  body: Buffer;
}

/** Requests for the first `among` pairs of the bundled model. */
export function pairRequests(inputs: Inputs, headers: Readonly<Record<string, string>>, among?: number): Requests {
  return {
    path: predictionsPath,
    headers,
    bodies: inputs.bodies.slice(0, among),
    fault: (index, { body }) => inputs.fault(inputs.pairs[index] as Pair, outputOf(JSON.parse(body.toString('utf8')))),
  };
}

const outputOf = ({ output }: { output?: unknown }): unknown => output;
