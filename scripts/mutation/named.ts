/**
 * Faults that a review of the tests found unnoticed, each as one change with the tests that must notice the change:
 * `npm run test:mutation -- --named`. mutants.test.ts fails when the text before a change is no longer in its file.
 */

// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the texts are parts of programs.

export interface NamedMutant {
  /** The fault that the change causes. */
  name: string;
  file: string;
  /** Text that the file has once, and the text in its place. */
  before: string;
  after: string;
  tests: readonly string[];
}

const CACHE_KEY = 'packages/shared/src/cache/cache-key.ts';
const INPUT = 'apps/api/src/models/normalize-input.ts';
const STREAM = 'apps/worker/src/recorder/stream-recorder.ts';
const KEY_TESTS = ['packages/shared/src/cache/cache-key.test.ts'];
const INPUT_TESTS = ['apps/api/src/models/normalize-input.test.ts'];
const ORDER_TESTS = ['tests/inference/job-priorities.test.ts'];
const ABANDONED_TESTS = ['tests/recorder/abandoned.test.ts'];

export const NAMED: readonly NamedMutant[] = [
  {
    name: 'tenants share cached results: the scope of a key has no tenant (keys of an input)',
    file: INPUT,
    before: "'public' ? 'public' : `tenant ${tenant}`",
    after: "'public' ? 'public' : 'tenant'",
    tests: INPUT_TESTS,
  },
  {
    name: 'tenants share cached results: the scope of a key has no tenant (whole system)',
    file: INPUT,
    before: "'public' ? 'public' : `tenant ${tenant}`",
    after: "'public' ? 'public' : 'tenant'",
    tests: ['tests/api/tenant-results.test.ts'],
  },
  {
    name: 'tenants share cached results: the keys of long rows have no scope',
    file: INPUT,
    before: 'keysInTurns({ scope, digest, rows })',
    after: "keysInTurns({ scope: '', digest, rows })",
    tests: INPUT_TESTS,
  },
  {
    name: 'tenants share their own copies of public results',
    file: INPUT,
    before: 'own: cacheKey({ scope: `tenant ${tenant}`',
    after: "own: cacheKey({ scope: 'tenant'",
    tests: INPUT_TESTS,
  },
  {
    name: 'the hash of a cache key has no scope',
    file: CACHE_KEY,
    before: 'string => `${scope.length}:${scope},',
    after: 'string => `',
    tests: KEY_TESTS,
  },
  {
    name: 'the hash of a very long row has no scope',
    file: CACHE_KEY,
    before: 'update(`${scope.length}:${scope},',
    after: 'update(`',
    tests: KEY_TESTS,
  },
  {
    name: 'every job has one priority in BullMQ (the queue)',
    file: 'packages/shared/src/queue/queues.ts',
    before: 'jobOptions(jobId, priority)',
    after: 'jobOptions(jobId, 5)',
    tests: ORDER_TESTS,
  },
  {
    name: 'every job has one priority in BullMQ (the API)',
    file: 'apps/api/src/queue/submitter.ts',
    before: 'priority: BULL_PRIORITY[priority],',
    after: 'priority: 5,',
    tests: ORDER_TESTS,
  },
  {
    name: 'every retry has one priority in BullMQ',
    file: 'apps/api/src/predictions/cancel-retry.ts',
    before: 'priority: BULL_PRIORITY[priority],',
    after: 'priority: 5,',
    tests: ['tests/inference/retried.test.ts'],
  },
  {
    name: 'every restored promise has one priority in BullMQ',
    file: 'apps/worker/src/recorder/restore-promises.ts',
    before: 'priority: BULL_PRIORITY[first.priority],',
    after: 'priority: 5,',
    tests: ['tests/recorder/reconciler.test.ts'],
  },
  {
    name: 'no recorder looks for the entries of a dead recorder',
    file: STREAM,
    before: 'performance.now() - this.#claimedAt > ABANDONED_MS',
    after: 'false',
    tests: ABANDONED_TESTS,
  },
  {
    name: 'a recorder looks only once for the entries of a dead recorder',
    file: STREAM,
    before: 'performance.now() - this.#claimedAt > ABANDONED_MS',
    after: 'this.#claimedAt === Number.NEGATIVE_INFINITY',
    tests: ABANDONED_TESTS,
  },
  {
    name: 'a recorder takes over no entry, however old',
    file: STREAM,
    before: 'consumer, ABANDONED_MS,',
    after: 'consumer, Number.MAX_SAFE_INTEGER,',
    tests: ABANDONED_TESTS,
  },
  {
    name: 'a recorder takes over entries and does not record them',
    file: STREAM,
    before: 'if (present.length > 0) await',
    after: 'if (present.length < 0) await',
    tests: ABANDONED_TESTS,
  },
  {
    name: 'a recorder takes over the entries of a living recorder',
    file: STREAM,
    before: 'consumer, ABANDONED_MS,',
    after: 'consumer, 0,',
    tests: ABANDONED_TESTS,
  },
];
