/** One embedding from the vectors of the tokens of a text, as 1_Pooling/config.json of sentence-transformers specifies. */
import type { JsonObject } from '../files/task-json.ts';

export interface TokenVectors {
  /** The vectors of the tokens of one text without padding, one after the other. */
  values: Float64Array;
  tokens: number;
  size: number;
}

type Pooling = (vectors: TokenVectors) => Float64Array;

const sumOf = ({ values, tokens, size }: TokenVectors, weightOf: (token: number) => number): Float64Array => {
  const sum = new Float64Array(size);
  for (let token = 0; token < tokens; token++) {
    const weight = weightOf(token);
    for (let at = 0; at < size; at++) sum[at] = (sum[at] ?? 0) + weight * (values[token * size + at] ?? 0);
  }
  return sum;
};

const at = ({ values, size }: TokenVectors, token: number): Float64Array =>
  values.slice(token * size, (token + 1) * size);

const max: Pooling = ({ values, tokens, size }) => {
  const most = new Float64Array(size).fill(Number.NEGATIVE_INFINITY);
  for (let token = 0; token < tokens; token++)
    for (let place = 0; place < size; place++)
      most[place] = Math.max(most[place] ?? 0, values[token * size + place] ?? 0);
  return most;
};

/** The poolings in the order in which sentence-transformers joins them. */
const POOLINGS: Readonly<Record<string, Pooling>> = {
  cls: (vectors) => at(vectors, 0),
  max,
  mean: (vectors) => sumOf(vectors, () => 1 / vectors.tokens),
  mean_sqrt_len: (vectors) => sumOf(vectors, () => 1 / Math.sqrt(vectors.tokens)),
  weightedmean: (vectors) => {
    const weights = (vectors.tokens * (vectors.tokens + 1)) / 2;
    return sumOf(vectors, (token) => (token + 1) / weights);
  },
  lasttoken: (vectors) => at(vectors, vectors.tokens - 1),
};

/** The members of 1_Pooling/config.json. */
const MEMBERS: Readonly<Record<string, string>> = {
  pooling_mode_cls_token: 'cls',
  pooling_mode_max_tokens: 'max',
  pooling_mode_mean_tokens: 'mean',
  pooling_mode_mean_sqrt_len_tokens: 'mean_sqrt_len',
  pooling_mode_weightedmean_tokens: 'weightedmean',
  pooling_mode_lasttoken: 'lasttoken',
};

/** The pooling of a version. Without the file the mean, which is the default of sentence-transformers. Throws an error. */
export function poolingOf(config: JsonObject | undefined): Pooling {
  const modes = config === undefined ? ['mean'] : modesOf(config);
  const poolings = modes.map((mode) => {
    const pooling = POOLINGS[mode];
    if (pooling === undefined)
      throw new Error(
        `1_Pooling/config.json has the pooling "${mode}": Millrace knows ${Object.keys(POOLINGS).join(', ')}`,
      );
    return pooling;
  });
  const [only] = poolings;
  if (only === undefined) throw new Error('1_Pooling/config.json turns on no pooling');
  if (poolings.length === 1) return only;
  return (vectors) => {
    const parts = poolings.map((pooling) => pooling(vectors));
    const joined = new Float64Array(parts.length * vectors.size);
    parts.forEach((part, place) => {
      joined.set(part, place * vectors.size);
    });
    return joined;
  };
}

function modesOf(config: JsonObject): string[] {
  const { pooling_mode: mode } = config;
  if (typeof mode === 'string') return [mode];
  if (Array.isArray(mode)) return mode.map(String);
  return Object.entries(MEMBERS).flatMap(([member, name]) => (config[member] === true ? [name] : []));
}

/** The vector with the length 1. The zero vector stays. */
export function normalized(vector: Float64Array): Float64Array {
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  return length === 0 ? vector : vector.map((value) => value / length);
}
