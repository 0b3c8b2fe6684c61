/**
 * The folders of each source tree from the top down, and the folders that each folder may import. An import from a lower
 * folder to a higher folder is an upward import. docs/architecture.md describes each folder in a sentence.
 */
export interface TreePlan {
  /** The source folder, relative to the repository. */
  root: string;
  /** The greatest allowed number of pairs of folders that import each other in one direction. */
  maxEdges: number;
  folders: Record<string, readonly string[]>;
  /** Imports that the plan does not allow yet, as `from -> to`. The list may only become shorter. */
  tolerated: readonly string[];
}

/** The name of the files that stand directly in a source folder. */
export const ROOT = '(root)';

export const plans: readonly TreePlan[] = [
  {
    root: 'apps/api/src',
    // 24 between the folders of the first plan, and 14 of seven later folders: docs/decisions/0016-pairs-of-folders.md has the reasons.
    maxEdges: 38,
    folders: {
      [ROOT]: [
        'processes',
        'open-inference',
        'openai',
        'predictions',
        'cache',
        'operations',
        'stats',
        'openapi',
        'console',
        'webhooks',
        'entities',
        'files',
        'images',
        'queue',
        'models',
        'handlers',
        'http',
        'stores',
      ],
      processes: [],
      'open-inference': ['predictions', 'models', 'http'],
      openai: ['predictions', 'models', 'http'],
      predictions: ['cache', 'queue', 'models', 'http', 'stores'],
      operations: ['http'],
      stats: ['http'],
      openapi: ['http'],
      console: ['http'],
      webhooks: ['http'],
      entities: ['http'],
      files: ['http'],
      images: [],
      cache: ['models', 'http'],
      queue: [],
      models: ['handlers', 'http'],
      handlers: ['http'],
      http: [],
      stores: [],
    },
    tolerated: [],
  },
  {
    root: 'apps/worker/src',
    maxEdges: 13,
    folders: {
      [ROOT]: ['inference', 'recorder', 'webhooks', 'operations'],
      inference: ['models', 'engine', 'engine/protocol', 'operations'],
      recorder: ['operations'],
      webhooks: ['operations'],
      models: ['engine', 'engine/protocol'],
      engine: ['engine/protocol'],
      'engine/child': ['engine/protocol'],
      'engine/protocol': [],
      operations: [],
    },
    tolerated: [],
  },
  {
    root: 'apps/console/src',
    maxEdges: 30,
    folders: {
      [ROOT]: ['shell', 'core', 'ui'],
      shell: [
        'pages/overview',
        'pages/models',
        'pages/model',
        'pages/predictions',
        'pages/prediction',
        'pages/webhooks',
        'pages/workers',
        'ui',
        'core',
      ],
      'pages/overview': ['ui', 'core'],
      'pages/webhooks': ['ui', 'core'],
      'pages/workers': ['ui', 'core'],
      'pages/models': ['ui', 'core'],
      'pages/model': ['ui', 'core'],
      'pages/predictions': ['ui', 'core'],
      'pages/prediction': ['ui', 'core'],
      ui: ['core'],
      core: [],
    },
    tolerated: [],
  },
  {
    root: 'packages/tasks/src',
    // 5, and 1 for the arithmetic of outputs, which image tasks share with text tasks.
    maxEdges: 6,
    folders: {
      [ROOT]: ['text', 'images', 'files'],
      text: ['files'],
      images: ['text', 'files'],
      files: [],
    },
    tolerated: [],
  },
  {
    root: 'packages/shared/src',
    // 25, and 1 for node:http, which the requests of webhooks share with the servers of the processes.
    maxEdges: 26,
    folders: {
      registry: [ROOT, 'model-files', 'postgres'],
      webhooks: ['postgres', 'predictions', 'process'],
      ledger: ['postgres', 'predictions'],
      stats: ['postgres'],
      files: ['postgres'],
      live: [ROOT, 'redis', 'predictions'],
      queue: ['redis', 'predictions'],
      cache: ['redis'],
      tenants: ['postgres'],
      'model-files': ['entities', 'tensors', 'text'],
      entities: ['postgres', 'text'],
      tensors: ['text'],
      redis: ['predictions'],
      postgres: ['predictions'],
      predictions: ['tensors'],
      text: [],
      process: [],
      batching: [],
      tracing: [],
      [ROOT]: [],
    },
    tolerated: [],
  },
];
