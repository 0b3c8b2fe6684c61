/**
 * The modules that `npm run test:mutation` changes, each with its tests: the pure core, the prediction path, and the scripts of the live
 * states. A module without tests here has them in the file beside the module.
 */
import { globSync } from 'node:fs';
import path from 'node:path';

export interface MutatedModule {
  file: string;
  tests: readonly string[];
}

const SHARED = 'packages/shared/src';

const MODULES = [
  `${SHARED}/batching/batcher.ts`,
  `${SHARED}/cache/{cache-key,result-value}.ts`,
  `${SHARED}/predictions/{ids,public-ids,output,slots,task}.ts`,
  `${SHARED}/queue/job.ts`,
  `${SHARED}/text/{canonical-json,near-names}.ts`,
  `${SHARED}/webhooks/{event,selection,target,timers}.ts`,
  `${SHARED}/redis/command-deadlines.ts`,
  `${SHARED}/tensors/tensor-bytes.ts`,
  'apps/api/src/cache/local-results.ts',
  'apps/api/src/http/cursor.ts',
  'apps/api/src/predictions/request-fingerprint.ts',
  'apps/api/src/queue/{admission,queue-load}.ts',
  'apps/worker/src/inference/{dispatcher,lifts,pace,run-slots}.ts',
  'apps/worker/src/webhooks/{retry-policy,lane-health}.ts',
];

/** Modules that more tests run than the tests beside them. */
const MORE_TESTS: Readonly<Record<string, readonly string[]>> = {
  'apps/worker/src/inference/dispatcher.ts': ['apps/worker/src/inference/dispatcher-held.test.ts'],
  [`${SHARED}/redis/command-deadlines.ts`]: ['tests/lifecycle/stalled-producer.test.ts'],
  [`${SHARED}/webhooks/timers.ts`]: ['tests/webhooks/timers.test.ts'],
};

/** The tests of the live scripts that need only Redis, and take seconds. */
const live = (...names: string[]) => names.map((name) => `tests/lifecycle/${name}.test.ts`);
const LIVE_TESTS = live('end', 'submit', 'reopen', 'timeline', 'unreadable', 'run', 'reserved');

/** Scripts that fewer tests run, or others. */
const TESTS_OF_SCRIPT: Readonly<Record<string, readonly string[]>> = {
  adopt: live('reopen', 'unreadable', 'large-ends'),
  discard: live('unreadable'),
  drop: live('drop'),
  end: live('end', 'submit', 'reserved'),
  finish: live('finish', 'script-commands', 'run', 'end', 'submit', 'timeline', 'large', 'large-ends'),
  followers: live('followers', 'run', 'timeline', 'large-ends'),
  lib: [
    ...LIVE_TESTS,
    ...live('finish', 'followers', 'reports', 'long-states', 'script-commands', 'drop', 'large-ends'),
  ],
  passed: live('large-ends'),
  place: live('large', 'large-ends'),
  retry: live('reopen', 'timeline'),
  shorten: live('end'),
  submit: live('submit', 'script-commands', 'end', 'reopen', 'unreadable', 'reserved', 'timeline', 'large-ends'),
  take: live('take', 'script-commands', 'run', 'reopen', 'timeline', 'unreadable', 'followers', 'end'),
};

/** Returns the modules. `only` selects modules by a part of their path. */
export function modulesOf(repository: string, only: readonly string[]): MutatedModule[] {
  const besides = globSync(MODULES, { cwd: repository }).map((file) => ({
    file,
    tests: [file.replace(/\.ts$/, '.test.ts'), ...(MORE_TESTS[file] ?? [])],
  }));
  const scripts = globSync(`${SHARED}/live/*.lua`, { cwd: repository }).map((file) => ({
    file,
    tests: TESTS_OF_SCRIPT[path.basename(file, '.lua')] ?? LIVE_TESTS,
  }));
  return [...besides, ...scripts]
    .filter(({ file }) => only.length === 0 || only.some((part) => file.includes(part)))
    .sort((a, b) => (a.file < b.file ? -1 : 1));
}
