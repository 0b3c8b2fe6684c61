/** model.json: what the file may say, what is wrong with one that says otherwise, and its defaults. */
import { type Static, type TSchema, Type } from 'typebox';

import { nearNames } from '../text/near-names.ts';

const closed = { additionalProperties: false } as const;

/**
 * What the verification of a version found, by the rules of that time. Where model.json said it (`said`), nothing was tried.
 */
export interface Findings {
  /** Number of the rules (FINDING_RULES of model-config.ts): what was found by older rules is verified again. */
  rules: number;
  /** Whether rows of a batch leave each other's answers alone, and why it is thought so, in words. */
  rows: { independent: boolean; reason: string; said: boolean };
  /** Whether equal questions get equal answers, and why it is thought so, in words. */
  answers: { deterministic: boolean; reason: string; said: boolean };
}

/** Whether answers of a version may be kept in the cache, and one computation may answer several callers. */
export const mayShareAnswers = ({ cache, deterministic }: ModelConfig): boolean =>
  cache.enabled && deterministic === true;

/** The content of model.json, with the defaults filled in. */
export interface ModelConfig {
  description: string;
  /** Most rows in one engine call. 1 where a batch cannot be formed. */
  maxBatch: number;
  /** Rows do not influence each other: they may be batched with strangers and cached one by one. */
  rowIndependent: boolean;
  /**
   * Equal questions get equal answers: only then is an answer cached, or shared with those who ask the same meanwhile. Not
   * there in versions that 0.1.0 registered, until a worker has verified these again.
   */
  deterministic?: boolean;
  findings?: Findings;
  cache: { ttlS: number; scope: 'tenant' | 'public'; enabled: boolean };
  timeoutMs: number;
  priority: 'low' | 'normal' | 'high';
  /** Entities that the handler reads. */
  entities: readonly string[];
  /** Inputs that OpenAPI shows and warm-up runs. */
  examples: readonly unknown[];
  /** Names for the elements of an output, by output name. */
  labels: Readonly<Record<string, readonly string[]>>;
}

/** The schema of the file, as editors get it (models/model.schema.json) and as docs/models.md describes it. */
export const ModelFileSchema = Type.Object(
  {
    $schema: Type.Optional(Type.String({ description: 'For editors; not read.' })),
    description: Type.Optional(
      Type.String({ maxLength: 10_000, description: 'What the model answers, for people. Shown by the API.' }),
    ),
    max_batch: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 65_536,
        description: 'Most rows in one run. 64 by default where rows are independent, and 1 where they are not.',
      }),
    ),
    row_independent: Type.Optional(
      Type.Boolean({
        description:
          'Whether rows of the first dimension do not influence each other, so that they may be run with those of ' +
          'other requests and cached one by one. Found out by trial when not given.',
      }),
    ),
    deterministic: Type.Optional(
      Type.Boolean({
        description:
          'Whether equal inputs get equal answers. Answers of a model that is not deterministic are neither cached nor ' +
          'shared. Found out from the operators and by trial when not given; true allows the cache all the same.',
      }),
    ),
    cache: Type.Optional(
      Type.Object(
        {
          enabled: Type.Optional(Type.Boolean({ description: 'Whether answers are kept at all. Default true.' })),
          ttl_s: Type.Optional(
            Type.Integer({
              minimum: 1,
              maximum: 31_536_000,
              description: 'How long an answer is kept, seconds. Default 86400, a day.',
            }),
          ),
          scope: Type.Optional(
            Type.Enum(['tenant', 'public'], {
              description: 'Whether tenants share answers (`public`) or each has its own (`tenant`, the default).',
            }),
          ),
        },
        closed,
      ),
    ),
    timeout_ms: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 3_600_000,
        description: 'Longest that one run may take, milliseconds; its engine is killed then. Default 30000.',
      }),
    ),
    priority: Type.Optional(
      Type.Enum(['low', 'normal', 'high'], { description: 'Of requests that name none. Default normal.' }),
    ),
    entities: Type.Optional(
      Type.Array(Type.String({ pattern: '^[a-z0-9][a-z0-9_-]*$', maxLength: 64 }), {
        maxItems: 64,
        uniqueItems: true,
        description: 'Entities that the handler reads: `drug` is entities/drug.csv.',
      }),
    ),
    examples: Type.Optional(
      Type.Array(Type.Unknown(), {
        maxItems: 100,
        description: 'Inputs that the documentation shows and that are run before the model is ready.',
      }),
    ),
    labels: Type.Optional(
      Type.Record(Type.String(), Type.Array(Type.String(), { maxItems: 100_000 }), {
        description: 'By name of an output, the names of its classes. For models of raw tensors.',
      }),
    ),
  },
  { ...closed, title: 'model.json of a Millrace model' },
);

/** A valid model.json. */
export type ModelFile = Omit<Static<typeof ModelFileSchema>, '$schema'>;

/** A model.json that cannot be used; `problems` has a sentence for each fault. */
export class ModelFileError extends Error {
  override name = 'ModelFileError';
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(problems.join(' '));
    this.problems = problems;
  }
}

/** Reads the text of a model.json; `file` is what messages call it. Throws ModelFileError with all that is wrong. */
export function parseModelFile(text: string, file: string): ModelFile {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new ModelFileError([`${file} is not JSON: ${(error as Error).message}.`]);
  }
  const problems = faults(ModelFileSchema, json, '').map((fault) => `${file}: ${fault}`);
  if (problems.length > 0) throw new ModelFileError(problems);
  const { $schema: _, ...rest } = json as Static<typeof ModelFileSchema>;
  return rest;
}

/** A version's own model.json over its model's: field by field, `cache` too. */
export function mergeModelFiles(model: ModelFile, version: ModelFile): ModelFile {
  const cache = model.cache || version.cache ? { cache: { ...model.cache, ...version.cache } } : {};
  return { ...model, ...version, ...cache };
}

/** Raised when the trial of a version becomes stricter: versions that older rules judged are then verified again. */
export const FINDING_RULES = 2;

const SAID = 'model.json says so';
const UNKNOWN = 'it was not verified';

/** What a verification tried. */
export interface Tried {
  rows?: { independent: boolean; reason: string };
  answers?: { deterministic: boolean; reason: string };
}

/** What model.json says goes before what was tried; what neither says is not assumed. */
export function findingsOf(file: ModelFile, found: Tried): Findings {
  const { row_independent: independent, deterministic } = file;
  return {
    rules: FINDING_RULES,
    rows:
      independent === undefined
        ? { independent: false, reason: UNKNOWN, ...found.rows, said: false }
        : { independent, reason: SAID, said: true },
    answers:
      deterministic === undefined
        ? { deterministic: false, reason: UNKNOWN, ...found.answers, said: false }
        : { deterministic, reason: SAID, said: true },
  };
}

/** Whether findings of an earlier verification still hold under a model.json. */
export function stillHold(findings: Findings | undefined, file: ModelFile): findings is Findings {
  if (findings === undefined || findings.rules < FINDING_RULES) return false;
  const { rows, answers } = findings;
  // What the file said and says no longer was never tried.
  return !(rows.said && file.row_independent === undefined) && !(answers.said && file.deterministic === undefined);
}

/** The defaults filled in. `found` is what verification found; the file's own word goes before it. */
export function resolveModelConfig(file: ModelFile, found: Tried): ModelConfig {
  const findings = findingsOf(file, found);
  const rowIndependent = findings.rows.independent;
  return {
    description: file.description ?? '',
    maxBatch: rowIndependent ? (file.max_batch ?? 64) : 1,
    rowIndependent,
    deterministic: findings.answers.deterministic,
    findings,
    cache: {
      ttlS: file.cache?.ttl_s ?? 86_400,
      scope: file.cache?.scope ?? 'tenant',
      enabled: file.cache?.enabled ?? true,
    },
    timeoutMs: file.timeout_ms ?? 30_000,
    priority: file.priority ?? 'normal',
    entities: file.entities ?? [],
    examples: file.examples ?? [],
    labels: file.labels ?? {},
  };
}

interface Schema {
  type?: string;
  enum?: readonly unknown[];
  properties?: Record<string, Schema>;
  patternProperties?: Record<string, Schema>;
  items?: Schema;
  minimum?: number;
  maximum?: number;
  maxLength?: number;
  maxItems?: number;
  pattern?: string;
  uniqueItems?: boolean;
}

/** Every fault of a value, for the kinds of schema that stand above: TypeBox's own messages name neither side. */
function faults(given: TSchema | Schema, value: unknown, path: string): string[] {
  const schema = given as Schema;
  const wrong = [`${path === '' ? 'the file' : path} must be ${expected(schema)}, and is ${seen(value)}.`];
  if (schema.enum !== undefined) return schema.enum.includes(value) ? [] : wrong;
  switch (schema.type) {
    case 'object':
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return wrong;
      return Object.entries(value).flatMap(([key, item]) => memberFaults(schema, path, key, item));
    case 'array': {
      if (!Array.isArray(value) || value.length > (schema.maxItems ?? Infinity)) return wrong;
      if (schema.uniqueItems && new Set(value).size < value.length) return [`${path} names something twice.`];
      return value.flatMap((item, index) => faults(schema.items ?? {}, item, `${path}[${index}]`));
    }
    case 'string':
      if (typeof value !== 'string' || value.length > (schema.maxLength ?? Infinity)) return wrong;
      return schema.pattern === undefined || new RegExp(schema.pattern).test(value) ? [] : wrong;
    case 'integer': {
      const fits =
        Number.isInteger(value) && (value as number) >= schema.minimum! && (value as number) <= schema.maximum!;
      return fits ? [] : wrong;
    }
    case 'boolean':
      return typeof value === 'boolean' ? [] : wrong;
    default:
      return [];
  }
}

function memberFaults(schema: Schema, path: string, key: string, item: unknown): string[] {
  const any = Object.values(schema.patternProperties ?? {})[0];
  const own = schema.properties && Object.hasOwn(schema.properties, key) ? schema.properties[key] : any;
  const at = path === '' ? key : `${path}.${key}`;
  if (own !== undefined) return faults(own, item, at);
  const known = Object.keys(schema.properties ?? {}).filter((name) => name !== '$schema');
  const near = nearNames(key, known, 1)[0];
  return [
    near === undefined
      ? `${at} is not a field; there are ${known.join(', ')}.`
      : `${at} is not a field; did you mean ${near}?`,
  ];
}

function expected(schema: Schema): string {
  if (schema.enum !== undefined) return schema.enum.map((value) => JSON.stringify(value)).join(' or ');
  switch (schema.type) {
    case 'integer':
      return `a whole number from ${schema.minimum} to ${schema.maximum}`;
    case 'boolean':
      return 'true or false';
    case 'string':
      if (schema.pattern !== undefined) return `a name of a-z, 0-9, _ and - (at most ${schema.maxLength} characters)`;
      return schema.maxLength === undefined ? 'a string' : `a string of at most ${schema.maxLength} characters`;
    case 'array': {
      const most = schema.maxItems === undefined ? '' : ` of at most ${schema.maxItems}`;
      return `an array${most}${schema.items?.type === 'string' ? ' strings' : ''}`;
    }
    default:
      return 'an object';
  }
}

function seen(value: unknown): string {
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'object' && value !== null) return 'an object';
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
