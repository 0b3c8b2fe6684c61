/** What is asked, and what the right answers are: computed here by onnxruntime, one pair at a time, with no rival between. */
import { type Output, openModel, type Pair, readDrugs } from './rivals/model.ts';

export interface Questions {
  /** Each unordered pair of different drugs once, in an order that is the same in every run and mixes the drugs. */
  pairs: readonly Pair[];
  bodies: readonly string[];
  /** Why the answer is wrong, or undefined when it is right. */
  fault(pair: Pair, output: unknown): Promise<string | undefined>;
}

// A row run in another batch may differ in its last bits.
const tolerance = 1e-5;

/** `modelsDir`: where the model is not the bundled one. */
export async function openQuestions(modelsDir?: string): Promise<Questions> {
  const [model, drugs] = await Promise.all([openModel(modelsDir), readDrugs()]);
  const names = drugs.map(({ name }) => name);
  const pairs = mixed(names.flatMap((drug_a, index) => names.slice(0, index).map((drug_b) => ({ drug_a, drug_b }))));
  return {
    pairs,
    bodies: pairs.map((input) => JSON.stringify({ input })),
    fault: async (pair, output) => {
      const [right] = await model.answer([await model.canonicalize(pair)]);
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

/** Shuffled, by a generator with a seed of its own (mulberry32). */
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
