/** Settings of API processes, and those of all processes: the log, deadlines, limits on requests. */
import { flag, integer, MIB, type Setting, text, url } from './setting.ts';

export const API_SETTINGS = {
  modelsDir: text('MODELS_DIR', 'models', 'Folder of models, in the layout of docs/models.md.'),
  logLevel: {
    ...text('LOG_LEVEL', 'info', 'Lowest level that is logged.'),
    oneOf: ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
  },
  accessLog: flag('ACCESS_LOG', false, 'Whether the API logs a line for each request.'),
  host: text('HOST', '127.0.0.1', 'Address the API listens on.'),
  port: integer('PORT', { default: 8080, min: 0, max: 65_535, about: 'Port the API listens on.' }),
  apiProcesses: integer('API_PROCESSES', {
    default: 1,
    min: 1,
    max: 64,
    about: 'API processes that share the port on this machine.',
  }),
  publicUrl: url(
    'PUBLIC_URL',
    undefined,
    'Public URL of the API, with its path prefix if any: all links in responses and webhooks begin with this URL. Without `PUBLIC_URL` links are paths.',
  ),
  traceUrl: url(
    'TRACE_URL',
    undefined,
    'URL of a trace in the store of traces, with `{trace_id}` in the place of the id: the console links each prediction to its trace.',
  ),
  shutdownMs: integer('SHUTDOWN_MS', {
    default: 25_000,
    min: 100,
    max: 600_000,
    about: 'Deadline of a graceful stop.',
  }),
  apiKeysRequired: flag(
    'API_KEYS_REQUIRED',
    false,
    'Require an API key on every route except the public routes (operations.md); `npm run keys` creates keys.',
  ),
  console: flag('CONSOLE', true, 'Serve the console at `/console`.'),
  bodyLimit: integer('BODY_LIMIT', {
    default: 8 * MIB,
    min: 1_024,
    max: 1_024 * MIB,
    about: 'Maximum size of a request body, bytes.',
  }),
  slotMemoryMb: integer('SLOT_MEMORY', {
    default: 256,
    min: 0,
    max: 1_048_576,
    about:
      'Megabytes of shared memory (`/dev/shm`) for large tensors of waiting callers, for each API process, where API and all workers share a machine. 0: large tensors go through the cache Redis.',
  }),
  cacheSlotMemoryMb: integer('CACHE_SLOT_MEMORY', {
    default: 256,
    min: 0,
    max: 1_048_576,
    about:
      'Megabytes of the cache Redis for large tensors of waiting callers, for each API process, where shared memory cannot be used; at most a quarter of its `maxmemory`. 0, and without a cache Redis of its own: large tensors go through the queue Redis.',
  }),
  promisedInputsMb: integer('PROMISED_INPUTS', {
    default: 4_096,
    min: 1,
    max: 16_777_216,
    about:
      'Most megabytes of the large inputs of open predictions that only Postgres has. Beyond this limit the API refuses requests with inputs of 64 KiB or more that do not wait.',
  }),
  bodyMemoryMb: integer('BODY_MEMORY', {
    default: 128,
    min: 1,
    max: 1_048_576,
    about: 'Maximum size of all request bodies that an API process holds at once, MiB; further requests get 429.',
  }),
  // JSON is parsed in a single step. 8 MiB of JSON would block the event loop, and every other caller, for up to 170 ms.
  jsonLimit: integer('JSON_LIMIT', {
    default: 2 * MIB,
    min: 1_024,
    max: 1_024 * MIB,
    about: 'Maximum size of the JSON in a body, bytes; at most `BODY_LIMIT`. Binary tensors do not count.',
  }),
  jsonDepth: integer('JSON_DEPTH', { default: 64, min: 4, max: 512, about: 'Maximum nesting of a JSON body.' }),
  jsonMembers: integer('JSON_MEMBERS', {
    default: 1_000,
    min: 16,
    max: 1_000_000,
    about: 'Maximum number of members of one object in a JSON body.',
  }),
  // Each item takes about a microsecond to build and check, and blocks all other callers in that time.
  jsonItems: integer('JSON_ITEMS', {
    default: 50_000,
    min: 100,
    max: 10_000_000,
    about:
      'Maximum number of members and objects of a JSON body (four arrays, or four members with the names of the previous object, count as one object), and of strings of a binary tensor.',
  }),
  maxRows: integer('MAX_ROWS', {
    default: 10_000,
    min: 1,
    max: 1_000_000,
    about: 'Maximum number of rows in one prediction.',
  }),
  maxStringLength: integer('MAX_STRING_LENGTH', {
    default: 2_000_000,
    min: 16,
    max: 100 * MIB,
    about: 'Maximum length of a string in a JSON body, characters.',
  }),
  maxMetadata: integer('MAX_METADATA', {
    default: 32_768,
    min: 2,
    max: MIB,
    about: 'Maximum size of `metadata`, bytes of JSON.',
  }),
  maxHeaders: integer('MAX_HEADERS', {
    default: 100,
    min: 10,
    max: 2_000,
    about: 'Maximum number of headers in a request.',
  }),
  requestTimeoutMs: integer('REQUEST_TIMEOUT_MS', {
    default: 30_000,
    min: 100,
    max: 600_000,
    about: 'Time in which a request must arrive.',
  }),
  connectionTimeoutMs: integer('CONNECTION_TIMEOUT_MS', {
    default: 120_000,
    min: 1_000,
    max: 3_600_000,
    about: 'Time after which an idle connection is closed; longer than any wait.',
  }),
  handlerThreads: integer('HANDLER_THREADS', {
    default: 2,
    min: 1,
    max: 64,
    about:
      'Threads of an API process for the handlers of models. A tenant never uses the last thread, unless there is only one.',
  }),
  // A tokenizer of 250,002 tokens (XLM-RoBERTa) takes 275 MiB, because the library holds its vocabulary as a tree.
  handlerMemoryMb: integer('HANDLER_MEMORY', {
    default: 1_024,
    min: 64,
    max: 65_536,
    about:
      'Maximum memory of the JavaScript objects of each handler thread, MiB: the handlers and tokenizers of all served models. A tokenizer of 250,000 tokens takes up to 275 MiB.',
  }),
  handlerTimeoutMs: integer('HANDLER_TIMEOUT_MS', {
    default: 5_000,
    min: 50,
    max: 600_000,
    about:
      'Limit of processor time of `canonicalize` for one input. An input may take twelve times as long with its waits, and so may all inputs of a request.',
  }),
  maxQueue: integer('MAX_QUEUE', {
    default: 2_000_000,
    min: 1,
    max: 1_000_000_000,
    about: 'Maximum number of waiting predictions of one model.',
  }),
  maxMemoryShare: integer('MAX_MEMORY_SHARE', {
    default: 70,
    min: 1,
    max: 100,
    about: 'Percent of the maxmemory of the queue Redis at which the API refuses new work.',
  }),
  storeTimeoutMs: integer('STORE_TIMEOUT_MS', {
    default: 700,
    min: 50,
    max: 60_000,
    about: 'Time that the API waits for Redis or Postgres.',
  }),
  maxClockSkewMs: integer('MAX_CLOCK_SKEW_MS', {
    default: 5_000,
    min: 100,
    max: 3_600_000,
    about:
      'Maximum difference between the clock of a process and the clock of Postgres; beyond this difference the process takes no work.',
  }),
  liveTtlMs: integer('LIVE_TTL_MS', {
    default: 600_000,
    min: 10_000,
    max: 604_800_000,
    about: 'Time that Redis keeps a terminal prediction.',
  }),
  queryTtlMs: integer('QUERY_TTL_MS', {
    default: 3_600_000,
    min: 1_000,
    max: 604_800_000,
    about: 'Time that the model list and entities are cached.',
  }),
  expiresInDefaultS: integer('EXPIRES_IN_DEFAULT', {
    default: 86_400,
    min: 1,
    max: 604_800,
    about: 'Deadline of a prediction without `expires_in`, seconds.',
  }),
} as const satisfies Record<string, Setting>;
