/**
 * The inputs of the load and the correct outputs. The bench computes the outputs with onnxruntime, one pair at a time,
 * without any rival in between.
 */
import { type Output, openModel, type Pair, readDrugs } from './rivals/model.ts';

export interface Inputs {
  /** Each unordered pair of different drugs once. The order is the same in every run and mixes the drugs. */
  pairs: readonly Pair[];
  bodies: readonly string[];
  /** The reason why an output is wrong, or undefined when the output is correct. */
  fault(pair: Pair, output: unknown): Promise<string | undefined>;
}

// A row that runs in another batch may differ in its last bits.
const tolerance = 1e-5;

/** `modelsDir` is the folder of a model other than the bundled model. */
export async function openInputs(modelsDir?: string): Promise<Inputs> {
  const [model, drugs] = await Promise.all([openModel(modelsDir), readDrugs()]);
  const names = drugs.map(({ name }) => name);
  const pairs = mixed(names.flatMap((drug_a, index) => names.slice(0, index).map((drug_b) => ({ drug_a, drug_b }))));
  return {
    pairs,
    bodies: pairs.map((input) => JSON.stringify({ input })),
    fault: async (pair, output) => {
      const [right] = await model.predict([await model.canonicalize(pair)]);
      return right === undefined ? 'no reference' : difference(right, output);
    },
  };
}

function difference(right: Output, output: unknown): string | undefined {
  const given = output as Partial<Output> | null;
  const { probability, interaction, ...exact } = right;
  const near = Math.abs((given?.probability ?? Number.NaN) - probability) <= tolerance;
  const agrees = given?.interaction === interaction || Math.abs(probability - 0.5) <= tolerance;
  const same = Object.entries(exact).every(([name, value]) => given?.[name as keyof Output] === value);
  return near && agrees && same ? undefined : `expected ${JSON.stringify(right)}, got ${JSON.stringify(output)}`;
}

/** Shuffles with a generator of fixed seed (mulberry32). */
function mixed<T>(items: readonly T[]): T[] {
  let state = 20_240_817;
  const random = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
  const out = [...items];
  for (let i = out.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [out[i], out[j]] = [out[j] as T, out[i] as T];
  }
  return out;
}
