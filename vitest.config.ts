import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

/** Two projects: `unit` needs nothing but Node, `integration` has a real Redis and Postgres (tests/services). */
export default defineConfig({
  test: {
    // Vitest would leave one core to others, and so use one of two. Most of an integration test is waiting.
    maxWorkers: availableParallelism(),
    projects: [
      {
        test: {
          name: 'unit',
          include: ['{packages,apps,models,scripts,bench}/**/*.test.ts'],
          exclude: ['**/node_modules/**', 'models/*/training/**'],
        },
      },
      {
        test: {
          name: 'integration',
          include: ['tests/**/*.test.ts'],
          exclude: ['tests/chaos/**'],
          globalSetup: ['tests/services/global-setup.ts'],
          testTimeout: 20_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
