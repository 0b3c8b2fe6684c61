import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

// A poll that names no limit of its own would give up after a second.
const expect = { poll: { timeout: 60_000 } };

const withServers = {
  // A process that runs many files loads the modules once: with a process for each file, a run took a fifth more processor time.
  // Unit tests replace modules and clocks, so each of their files has its own process.
  isolate: false,
  globalSetup: ['tests/services/global-setup.ts'],
  testTimeout: 180_000,
  hookTimeout: 240_000,
  expect,
};

/** The tests that stop, replace, fill and damage the servers of a system. Most of their time is waiting for a failover. */
const FAILOVER = ['cluster', 'clock', 'failover', 'promotion', 'upgrade'].map(
  (folder) => `tests/${folder}/**/*.test.ts`,
);

/** The tests of the tools around the server: each tool meets a whole system, as a user's machine would run the tool. */
const TOOLS = ['client', 'cli', 'console', 'contract', 'local', 'packages', 's3', 'start', 'telemetry'].map(
  (folder) => `tests/${folder}/**/*.test.ts`,
);

/** The tests of the models that users bring, with their files, and of the largest inputs and outputs. Each test computes a lot. */
const MODELS = ['files', 'limits', 'models'].map((folder) => `tests/${folder}/**/*.test.ts`);

/**
 * Five projects: `unit` needs nothing but Node, and the others have a real Redis and Postgres (tests/services). `npm test` runs `unit`
 * and `integration`. `npm run test:failover`, `npm run test:models` and `npm run test:tools` run the other three.
 */
export default defineConfig({
  test: {
    // Node imports a model's handler, and not Vite: handler-file.ts says which text is run.
    server: { deps: { external: [/\?handler=/] } },
    // Most of an integration test is waiting, so one file more than there are cores runs at a time.
    maxWorkers: availableParallelism() + 1,
    // Time limits end a test that hangs, and measure nothing: a shared machine can be ten times slower than an idle machine.
    projects: [
      {
        test: {
          name: 'unit',
          include: ['{packages,apps,models,scripts,bench}/**/*.test.ts'],
          exclude: ['**/node_modules/**', 'models/*/training/**'],
          testTimeout: 60_000,
          expect,
        },
      },
      {
        test: {
          name: 'integration',
          include: ['tests/**/*.test.ts'],
          exclude: ['tests/chaos/**', ...FAILOVER, ...MODELS, ...TOOLS],
          ...withServers,
        },
      },
      { test: { name: 'failover', include: FAILOVER, ...withServers } },
      { test: { name: 'models', include: MODELS, ...withServers } },
      { test: { name: 'tools', include: TOOLS, ...withServers } },
    ],
  },
});
