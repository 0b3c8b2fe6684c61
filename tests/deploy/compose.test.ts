import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { cp, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { settings } from '@millrace/shared/process/config';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';

const root = path.resolve(import.meta.dirname, '../..');

interface Service {
  profiles?: string[];
  image?: string;
  environment?: Record<string, string>;
  command?: string[];
  entrypoint?: string[];
  healthcheck?: { test: string[] };
  networks?: string[];
  cap_drop?: string[];
  cap_add?: string[];
  security_opt?: string[];
  read_only?: boolean;
  pids_limit?: number;
  privileged?: boolean;
  volumes?: string[];
  tmpfs?: string[];
  ports?: string[];
}

const compose = parse(readFileSync(path.join(root, 'docker-compose.yml'), 'utf8'), { merge: true }) as {
  services: Record<string, Service>;
  networks: Record<string, { internal?: boolean } | null>;
};
const services = Object.entries(compose.services);
const STORES = ['cache-redis', 'postgres', 'queue-redis'];
/**
 * Capabilities that the entrypoints of the stores' images need to give the data to their user and switch to that user.
 */
const ENTRYPOINT_NEEDS = ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'SETGID', 'SETUID'];

describe('each container', () => {
  test.each(services)('%s has only the rights that it needs', (name, service) => {
    expect(service.cap_drop).toEqual(['ALL']);
    expect(service.cap_add ?? []).toEqual(STORES.includes(name) ? ENTRYPOINT_NEEDS : []);
    expect(service.security_opt).toEqual(['no-new-privileges:true']);
    expect(service.read_only).toBe(true);
    expect(service.tmpfs).toContain('/tmp');
    expect(service.pids_limit).toBeGreaterThan(0);
    expect(service.privileged).toBeUndefined();
    // No socket of the container engine, and read-only models.
    for (const volume of service.volumes ?? [])
      expect(volume).toMatch(/^(queue|postgres|files|prometheus|grafana):|:ro$/);
  });

  test.each(services)('%s has no password on a command line', (_, service) => {
    const lines = [service.command, service.entrypoint, service.healthcheck?.test].flatMap((line) => line ?? []);
    // Compose substitutes `$NAME` and `${NAME}`. The shell in the container substitutes `$$NAME`.
    for (const line of lines) expect(line.replaceAll('$$', '')).not.toMatch(/\$\{?\w*PASSWORD/);
    expect(lines.join(' ')).not.toMatch(/--requirepass/);
  });
});

/** Compose itself sets the addresses and folders, and runs no cluster and no sentinels. */
const OF_COMPOSE = /^(HOST|PORT|WORKER_HOST|WORKER_PORT|MODELS_DIR|REDIS_CLUSTER)$|SENTINEL/;

/** The standard settings of OpenTelemetry that compose passes on. */
const OF_TRACES = ['OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_TRACES_SAMPLER', 'OTEL_TRACES_SAMPLER_ARG'];

test('every setting reaches each process, from .env or the shell', () => {
  const own = settings.map(({ name }) => name).filter((name) => !OF_COMPOSE.test(name));
  const wanted = [...own, ...OF_TRACES];
  for (const name of ['api', 'worker', 'migrate']) {
    const { environment = {} } = compose.services[name] ?? {};
    expect(Object.keys(environment).sort(), name).toEqual([...wanted].sort());
    for (const [key, value] of Object.entries(environment))
      if (!key.endsWith('_URL')) expect(value, key).toMatch(new RegExp(`^\\$\\{${key}:-[a-z]*\\}$`));
  }
});

test('a fresh clone starts without .env: every variable has a default', () => {
  const text = readFileSync(path.join(root, 'docker-compose.yml'), 'utf8').replaceAll('$$', '');
  const variables = text.match(/\$\{[^}]*\}|\$\w+/g) ?? [];
  expect(variables.filter((variable) => !/^\$\{\w+:-[^}]*\}$/.test(variable))).toEqual([]);
});

test('the image has the commands migrate, keys and models with everything that they import', async () => {
  const dir = await mkdtemp(path.join(tmpdir(), 'millrace-image-'));
  onTestFinished(() => rm(dir, { recursive: true }));
  const copies = readFileSync(path.join(root, 'Dockerfile'), 'utf8').matchAll(
    /^COPY (?!--|package|apps\/)(.+) (\S+)$/gm,
  );
  for (const [, sources = '', target = ''] of copies)
    for (const source of sources.split(' ')) {
      const place = path.join(dir, target.endsWith('/') ? path.join(target, path.basename(source)) : target);
      await cp(path.join(root, source), place, {
        recursive: true,
        filter: (file) => !/node_modules|\.test\.ts$/.test(file),
      });
    }
  for (const folder of ['apps', 'packages'])
    await cp(path.join(root, folder), path.join(dir, folder), { recursive: true });
  await cp(path.join(root, 'package.json'), path.join(dir, 'package.json'));
  await symlink(path.join(root, 'node_modules'), path.join(dir, 'node_modules'));
  const env = { PATH: process.env.PATH, DATABASE_URL: 'postgres://127.0.0.1:1/millrace' };
  const run = (...args: string[]) =>
    promisify(execFile)(process.execPath, args, { cwd: dir, env }).catch((error: { stderr: string }) => error);
  for (const [command, ...words] of [['migrate'], ['keys', 'list'], ['models', 'list']]) {
    const { stderr } = await run(`scripts/${command}.ts`, ...words);
    expect([command, stderr]).toEqual([
      command,
      expect.stringMatching(/^Postgres at postgres:\/\/127\.0\.0\.1:1\/millrace cannot/),
    ]);
  }
});

test('the gateway reaches only the API, and no outside network reaches a store', () => {
  const networksOf = (name: string) => compose.services[name]?.networks ?? [];
  const neighbours = (name: string) =>
    services
      .filter(
        ([other, { networks = [] }]) =>
          other !== name && networks.some((network) => networksOf(name).includes(network)),
      )
      .map(([other]) => other);
  expect(neighbours('gateway')).toEqual(['api']);
  for (const store of STORES) {
    expect(networksOf(store)).toEqual(['stores']);
    expect(
      neighbours(store)
        .filter((other) => !STORES.includes(other))
        .sort(),
    ).toEqual(['api', 'migrate', 'worker']);
  }
  expect(compose.networks.stores).toEqual({ internal: true });
  expect(
    services
      .filter(([, { ports }]) => ports)
      .map(([name]) => name)
      .sort(),
  ).toEqual(['gateway', 'grafana']);
  // The containers of the profile reach API and workers, whose traces and metrics they read, and nothing outside.
  for (const name of ['prometheus', 'collector', 'tempo'])
    expect([networksOf(name), compose.networks.monitoring]).toEqual([['monitoring'], { internal: true }]);
  // Webhooks leave through this network.
  expect(networksOf('worker').filter((name) => compose.networks[name]?.internal !== true)).toEqual(['outside']);
});

test('queue and cache each have a memory limit and their own eviction policy', () => {
  const after = (name: string, option: string) => {
    const command = compose.services[name]?.command ?? [];
    return command[command.indexOf(option) + 1];
  };
  expect(after('queue-redis', '--maxmemory')).toMatch(/^\$\{QUEUE_MEMORY:-\d+mb\}$/);
  expect(after('queue-redis', '--maxmemory-policy')).toBe('noeviction');
  expect(after('cache-redis', '--maxmemory')).toMatch(/^\$\{CACHE_MEMORY:-\d+mb\}$/);
  expect(after('cache-redis', '--maxmemory-policy')).toBe('allkeys-lfu');
});

describe('the profile observability', () => {
  const observers = services.filter(([, { profiles }]) => profiles?.includes('observability'));

  test('starts only on request, with files that exist', () => {
    expect(observers.map(([name]) => name).sort()).toEqual(['collector', 'grafana', 'prometheus', 'tempo']);
    for (const [name, { volumes = [], image = '' }] of observers) {
      expect([name, image]).toEqual([name, expect.stringMatching(/:v?\d+\.\d+\.\d+$/)]);
      const files = volumes.filter((volume) => volume.startsWith('./')).map((volume) => volume.split(':')[0] ?? '');
      for (const file of files) expect([file, existsSync(path.join(root, file))]).toEqual([file, true]);
    }
  });

  test('has a configuration that Prometheus accepts, if promtool is installed', async (context) => {
    const file = path.join(root, 'deploy/prometheus/prometheus.yaml');
    const check = promisify(execFile)('promtool', ['check', 'config', '--syntax-only', file]);
    const reply = await check.catch((error: NodeJS.ErrnoException) => error);
    if ('code' in reply && reply.code === 'ENOENT') return context.skip();
    expect(reply).toMatchObject({ stdout: expect.stringContaining('SUCCESS') });
  });

  test('connects Grafana with Prometheus and Tempo, and Prometheus with every process', () => {
    const read = (file: string) => parse(readFileSync(path.join(root, 'deploy/observability', file), 'utf8'));
    const { datasources } = read('grafana/datasources.yaml');
    const hosts = datasources.map(({ url }: { url: string }) => new URL(url).hostname);
    expect(hosts).toEqual(['prometheus', 'tempo']);
    const names = read('../prometheus/prometheus.yaml').scrape_configs.flatMap(
      (job: { dns_sd_configs?: { names: string[] }[] }) => job.dns_sd_configs?.flatMap((one) => one.names) ?? [],
    );
    expect(names).toEqual(['api', 'worker']);
    const { service, exporters } = read('collector.yaml');
    expect(Object.keys(exporters)).toEqual(service.pipelines.traces.exporters);
  });
});
