/** The responses of the model routes, as JSON Schema. */
import { TASKS } from '@millrace/shared/model-files/task-files';
import { Type } from 'typebox';
import { extensible, listOf, orNull, Path, Time } from '../http/response-schemas.ts';

const Task = orNull(
  extensible(TASKS),
  'The task that converts inputs and outputs; null for a version with a handler of its own, and for raw tensors.',
);

const modelFields = {
  name: Type.String(),
  description: Type.String(),
  task: Task,
  default_version: orNull(Type.String(), 'The version for requests without a version; null while no version is ready.'),
  problem: orNull(Type.String(), 'The reason why the serving version may fail; null without a known fault.'),
  aliases: Type.Record(Type.String(), Type.String(), { description: 'Alias to version.' }),
  version_counts: Type.Record(Type.String(), Type.Integer({ minimum: 1 }), {
    description: 'The number of versions of each status that a version has.',
  }),
  providers: Type.Array(Type.String(), {
    description: 'The execution providers of onnxruntime that run the serving version now, such as `cpu`.',
  }),
  urls: Type.Object({ self: Path, versions: Path, entities: Path, predictions: Path }),
};
export const Model = Type.Object(modelFields, { $id: 'Model' });

export const Alias = Type.Object(
  {
    model: Type.String(),
    name: Type.String(),
    version: Type.String({ description: 'The target of the alias.' }),
    urls: Type.Object({ self: Path, model: Path, version: Path }),
  },
  { $id: 'Alias' },
);

const Tensor = Type.Object(
  {
    name: Type.String(),
    dtype: Type.String(),
    shape: Type.Array(Type.Union([Type.Integer({ minimum: 0 }), Type.String()]), {
      description: 'A name or an empty string is a free dimension.',
    }),
  },
  { $id: 'Tensor' },
);

export const Version = Type.Object(
  {
    model: Type.String(),
    version: Type.String(),
    status: extensible(['loading', 'ready', 'failed', 'draining', 'retired'], {
      $id: 'VersionStatus',
    }),
    reason: orNull(Type.String(), 'The reason for the status, or for possible failures of a ready version.'),
    digest: Type.String({ description: 'SHA-256 of everything that determines a result.' }),
    description: Type.String(),
    task: Task,
    created_at: Time,
    inputs: Type.Array(Tensor, { description: 'Tensors of the ONNX file.' }),
    outputs: Type.Array(Tensor),
    input_schema: Type.Unknown({ description: 'JSON Schema of `input`; null for raw tensors.' }),
    output_schema: Type.Unknown({ description: 'JSON Schema of `output`; null for raw tensors.' }),
    examples: Type.Array(Type.Unknown(), { description: 'Valid inputs.' }),
    max_run_rows: Type.Integer({ minimum: 1, description: '`max_batch` of model.json.' }),
    row_independent: Type.Boolean({
      description: 'Rows are batched with rows of other requests, and each row is cached.',
    }),
    row_independent_reason: orNull(
      Type.String(),
      'How the worker decided; null before a worker has verified the version.',
    ),
    deterministic: orNull(
      Type.Boolean(),
      'Equal inputs give equal results: only then are results cached and shared. Null before a worker has verified the version.',
    ),
    deterministic_reason: orNull(
      Type.String(),
      'How the worker decided; null before a worker has verified the version.',
    ),
    timeout_ms: Type.Integer({ minimum: 1 }),
    priority: extensible(['low', 'normal', 'high']),
    engine: Type.Object(
      {
        providers: Type.Array(Type.String(), { description: 'In the order of preference.' }),
        threads: orNull(Type.Integer({ minimum: 1 }), 'Null: the cores of the worker divided by its engines.'),
        instances: orNull(Type.Integer({ minimum: 1 }), 'Null: all engines of a worker load the version.'),
      },
      { description: '`engine` of model.json.' },
    ),
    providers: Type.Array(Type.String(), {
      description:
        'The execution providers of onnxruntime that run the version now, such as `cpu`; empty while no worker runs the version.',
    }),
    cache: Type.Object({
      enabled: Type.Boolean(),
      ttl_s: Type.Number(),
      scope: extensible(['tenant', 'public']),
    }),
  },
  { $id: 'Version' },
);

export const Card = Type.Object(
  {
    model: Type.String(),
    version: Type.String(),
    readme: orNull(Type.String(), 'README.md as Markdown, at most 256 KiB.'),
    images: Type.Record(Type.String(), Type.String(), {
      description: 'The images that README.md names by a relative path: path to data URI.',
    }),
    figures: Type.Unknown({ description: 'The value of metrics.json, at most 64 KiB; null without the file.' }),
  },
  { $id: 'Card' },
);

export const ModelList = listOf('ModelList', Model);
export const VersionList = listOf('VersionList', Version);
