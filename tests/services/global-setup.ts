/** Runs once before all tests: starts the servers, and makes the database that each test file copies. */
import { randomBytes } from 'node:crypto';
import type { TestProject } from 'vitest/node';
import { startTestServers } from './choose.ts';
import { makeTemplate } from './template.ts';

declare module 'vitest' {
  interface ProvidedContext {
    redisUrl: string;
    /** Whether the URL is a node of a cluster. */
    redisCluster: boolean;
    /** A database from which the tests' databases are copied. Tests use tests/support/test-database.ts. */
    databaseUrl: string;
    templateDatabase: string;
  }
}

/** Starts one Redis and one Postgres for the whole run. The helpers in tests/support separate the tests. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const startedAt = performance.now();
  const servers = await startTestServers(process.env);
  // A random name, because two runs can share a server.
  const template = `millrace_template_${randomBytes(4).toString('hex')}`;
  const dropTemplate = await makeTemplate(servers.databaseUrl, template).catch(async (error) => {
    await servers.stop();
    throw error;
  });
  project.provide('redisUrl', servers.redisUrl);
  project.provide('redisCluster', servers.redisCluster ?? false);
  project.provide('databaseUrl', servers.databaseUrl);
  project.provide('templateDatabase', template);
  console.log(`Test servers: ${servers.kind}, ready in ${Math.round(performance.now() - startedAt)} ms.`);
  return async () => {
    await dropTemplate();
    await servers.stop();
  };
}
