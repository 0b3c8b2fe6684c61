/** The settings of a model: the schema of model.json, its validation, and its defaults. */
import type { XStatic } from 'typebox/schema';
import { nearNames } from '../text/near-names.ts';
import { type EngineSettings, EngineSettingsSchema } from './engine-settings.ts';
import { examplesOf, type TaskName, TaskSetting } from './task-files.ts';

/** The results of a verification. A result from model.json has `said` and was not tried. Stored in Postgres. */
export interface Findings {
  /** The version of the rules (FINDING_RULES). Results of older rules are verified again. */
  rules: number;
  /** Whether the rows of a micro-batch do not influence each other, and the reason in words. */
  rows: { independent: boolean; reason: string; said: boolean };
  /** Whether equal inputs give equal outputs, and the reason in words. */
  answers: { deterministic: boolean; reason: string; said: boolean };
}

/** Whether results of a version may be cached, and whether equal requests may share a flight. */
export const mayShareResults = ({ cache, deterministic }: ModelConfig): boolean =>
  cache.enabled && deterministic === true;

/** The content of model.json, with the defaults filled in. */
export interface ModelConfig {
  description: string;
  /** The largest number of rows in a micro-batch. 1 when the rows are not independent. */
  maxBatch: number;
  /** The rows do not influence each other. Rows of different requests may share a micro-batch, and each row is cached. */
  rowIndependent: boolean;
  /**
   * Equal inputs give equal outputs. Required for the cache and for shared flights. Absent in versions that 0.1.0 registered,
   * until a worker has verified the version again.
   */
  deterministic?: boolean;
  findings?: Findings;
  cache: { ttlS: number; scope: 'tenant' | 'public'; enabled: boolean };
  timeoutMs: number;
  priority: 'low' | 'normal' | 'high';
  /** The entities that the handler reads. */
  entities: readonly string[];
  /** Inputs that OpenAPI shows and the warm-up runs. */
  examples: readonly unknown[];
  /** The names of the elements of outputs, by output name. */
  labels: Readonly<Record<string, readonly string[]>>;
  /** Whether the first numbers of an embedding are an embedding too. Absent for every other model. */
  matryoshka?: true;
  /** The version whose edited files this version serves, in development. Absent for every other version. */
  editOf?: string;
  /** The task that converts inputs and outputs. Absent for a version with a handler, and for raw tensors. */
  task?: TaskName;
  /** Absent without the field `engine` in model.json, and in versions that an earlier release registered. */
  engine?: EngineSettings;
}

/** The schema of model.json. models/model.schema.json has the same schema for editors, and docs/models.md explains the fields. */
export const ModelFileSchema = {
  type: 'object',
  properties: {
    $schema: { type: 'string', description: 'For editors. Not read by Millrace.' },
    description: {
      type: 'string',
      maxLength: 10_000,
      description: 'A description for people. The API shows this text.',
    },
    task: TaskSetting,
    max_batch: {
      type: 'integer',
      minimum: 1,
      maximum: 65_536,
      description: 'Largest number of rows in one run. Default 64 for independent rows, otherwise 1.',
    },
    row_independent: {
      type: 'boolean',
      description:
        'Whether the rows of the first dimension do not influence each other. Independent rows run together with rows of ' +
        'other requests and are cached singly. Default: found by a trial.',
    },
    deterministic: {
      type: 'boolean',
      description:
        'Whether equal inputs give equal outputs. Results of a model that is not deterministic are neither cached nor ' +
        'shared. Default: found from the operators and by a trial. With true the cache is allowed without a trial.',
    },
    cache: {
      type: 'object',
      properties: {
        enabled: { type: 'boolean', description: 'Whether results are cached. Default true.' },
        ttl_s: {
          type: 'integer',
          minimum: 1,
          maximum: 31_536_000,
          description: 'Seconds until a cached result expires. Default 86400, a day.',
        },
        scope: {
          enum: ['tenant', 'public'],
          description: 'Whether tenants share cached results (`public`) or not (`tenant`, the default).',
        },
      },
      additionalProperties: false,
    },
    timeout_ms: {
      type: 'integer',
      minimum: 1,
      maximum: 3_600_000,
      description: 'Time limit of one run in milliseconds. After the limit the engine is killed. Default 30000.',
    },
    priority: {
      enum: ['low', 'normal', 'high'],
      description: 'Priority of requests without a priority. Default normal.',
    },
    entities: {
      type: 'array',
      items: { type: 'string', pattern: '^[a-z0-9][a-z0-9_-]*$', maxLength: 64 },
      maxItems: 64,
      uniqueItems: true,
      description: 'Entities that the handler reads. `drug` is entities/drug.csv.',
    },
    examples: {
      type: 'array',
      items: {},
      maxItems: 100,
      description: 'Inputs that the documentation shows and that run before the model is ready.',
    },
    matryoshka: {
      type: 'boolean',
      description:
        'Whether the first numbers of an embedding are an embedding too, so that a request of the OpenAI API can have ' +
        '`dimensions`. Default false.',
    },
    labels: {
      type: 'object',
      patternProperties: { '^.*$': { type: 'array', items: { type: 'string' }, maxItems: 100_000 } },
      description: 'Names of the classes, by output name. For models of raw tensors.',
    },
    engine: EngineSettingsSchema,
  },
  additionalProperties: false,
  title: 'model.json of a Millrace model',
} as const;

/** A valid model.json. */
export type ModelFile = Omit<XStatic<typeof ModelFileSchema>, '$schema'>;

/** An invalid model.json. `problems` has a sentence for each fault. */
export class ModelFileError extends Error {
  override name = 'ModelFileError';
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(problems.join(' '));
    this.problems = problems;
  }
}

/** Parses the text of a model.json. Messages contain the name `file`. Throws ModelFileError with all faults. */
export function parseModelFile(text: string, file: string): ModelFile {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new ModelFileError([`${file} is not JSON: ${error instanceof Error ? error.message : error}.`]);
  }
  const problems = faults(ModelFileSchema, json, '').map((fault) => `${file}: ${fault}`);
  if (problems.length > 0) throw new ModelFileError(problems);
  const { $schema: _, ...rest } = json as XStatic<typeof ModelFileSchema>;
  return rest;
}

/** Merges the model.json of a model and of a version. Fields of the version win, also within `cache` and `engine`. */
export function mergeModelFiles(model: ModelFile, version: ModelFile): ModelFile {
  const cache = model.cache || version.cache ? { cache: { ...model.cache, ...version.cache } } : {};
  const engine = model.engine || version.engine ? { engine: { ...model.engine, ...version.engine } } : {};
  return { ...model, ...version, ...cache, ...engine };
}

/** Increment this number when the trial of versions becomes stricter. Versions with older results are then verified again. */
export const FINDING_RULES = 2;

const SAID = 'model.json says so';
const UNKNOWN = 'the version was not verified';

/** The results of the trials of a verification. */
export interface Tried {
  rows?: { independent: boolean; reason: string };
  answers?: { deterministic: boolean; reason: string };
}

/** Combines model.json and trials. model.json wins. Without either the property is not assumed. */
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

/** Whether the results of an earlier verification are still valid under a model.json. */
export function stillHold(findings: Findings | undefined, file: ModelFile): findings is Findings {
  if (findings === undefined || findings.rules < FINDING_RULES) return false;
  const { rows, answers } = findings;
  // A property that only an earlier model.json stated was never tried.
  return !(rows.said && file.row_independent === undefined) && !(answers.said && file.deterministic === undefined);
}

/** Fills in the defaults. `found` has the results of the trials. model.json wins. `editOf`: see ModelConfig. */
export function resolveModelConfig(file: ModelFile, found: Tried, editOf?: string): ModelConfig {
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
    examples: file.examples ?? examplesOf(file.task),
    labels: file.labels ?? {},
    ...(file.matryoshka === true ? { matryoshka: true } : {}),
    ...(editOf === undefined ? {} : { editOf }),
    ...(file.task === undefined || file.task === 'none' ? {} : { task: file.task }),
    ...(file.engine === undefined ? {} : { engine: file.engine }),
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
  minItems?: number;
  maxItems?: number;
  pattern?: string;
  uniqueItems?: boolean;
}

/** All faults of a value. Supports the schema types of ModelFileSchema. TypeBox's messages have neither expected nor received value. */
function faults(schema: Schema, value: unknown, path: string): string[] {
  const wrong = [`${path === '' ? 'the file' : path} must be ${expected(schema)}, but is ${seen(value)}.`];
  if (schema.enum !== undefined) return schema.enum.includes(value) ? [] : wrong;
  switch (schema.type) {
    case 'object':
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return wrong;
      return Object.entries(value).flatMap((member) => memberFaults(schema, path, member));
    case 'array': {
      if (!Array.isArray(value) || value.length > (schema.maxItems ?? Infinity)) return wrong;
      if (value.length < (schema.minItems ?? 0)) return wrong;
      if (schema.uniqueItems && new Set(value).size < value.length) return [`${path} has duplicate items.`];
      return value.flatMap((item, index) => faults(schema.items ?? {}, item, `${path}[${index}]`));
    }
    case 'string':
      if (typeof value !== 'string' || value.length > (schema.maxLength ?? Infinity)) return wrong;
      return schema.pattern === undefined || new RegExp(schema.pattern).test(value) ? [] : wrong;
    case 'integer': {
      if (typeof value !== 'number' || !Number.isInteger(value)) return wrong;
      return value >= schema.minimum! && value <= schema.maximum! ? [] : wrong;
    }
    case 'boolean':
      return typeof value === 'boolean' ? [] : wrong;
    default:
      return [];
  }
}

function memberFaults(schema: Schema, path: string, [key, item]: [string, unknown]): string[] {
  const any = Object.values(schema.patternProperties ?? {})[0];
  const own = schema.properties && Object.hasOwn(schema.properties, key) ? schema.properties[key] : any;
  const at = path === '' ? key : `${path}.${key}`;
  if (own !== undefined) return faults(own, item, at);
  const known = Object.keys(schema.properties ?? {}).filter((name) => name !== '$schema');
  const near = nearNames(key, known, 1)[0];
  return [
    near === undefined
      ? `${at} is not a field. The fields are ${known.join(', ')}.`
      : `${at} is not a field. Did you mean ${near}?`,
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
      const count = schema.minItems === undefined ? most : ` of ${schema.minItems} to ${schema.maxItems}`;
      const names = schema.items?.enum;
      return `an array${count}${names ? ` of ${names.join(', ')}` : schema.items?.type === 'string' ? ' strings' : ''}`;
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
