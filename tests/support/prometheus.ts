/** A private Prometheus (Debian's package prometheus) that scrapes the processes of a test once a second. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '@millrace/local/process/ports';

export const hasPrometheus = (): boolean => spawnSync('prometheus', ['--version']).status === 0;

/** The URLs of the processes, by the name of their scrape job. */
export type Targets = Readonly<Record<string, readonly string[]>>;

export interface Alert {
  labels: Readonly<Record<string, string>>;
  state: 'pending' | 'firing';
}

export interface Prometheus {
  /** Replaces the scraped processes. */
  scrape(targets: Targets): Promise<void>;
  /** Runs an instant query. Rejects with the error of Prometheus. */
  query(expr: string): Promise<{ metric: Record<string, string>; value: [number, string] }[]>;
  alerts(): Promise<Alert[]>;
  close(): Promise<void>;
}

const READY_TIMEOUT_MS = 60_000;

/** `rules` is a rules file as an object. Resolves when Prometheus serves requests. */
export async function startPrometheus(targets: Targets, rules?: object): Promise<Prometheus> {
  const dir = await mkdtemp(path.join(tmpdir(), 'millrace-prometheus-'));
  const file = (name: string) => path.join(dir, name);
  // YAML contains JSON.
  const write = (name: string, content: object) => writeFile(file(name), JSON.stringify(content));
  const scrape = async (all: Targets) => {
    const groups = Object.entries(all).map(([job, urls]) => ({
      targets: urls.map((url) => new URL(url).host),
      labels: { job },
    }));
    await write('targets.new', groups);
    // Prometheus watches the folder, and never reads half a file.
    await rename(file('targets.new'), file('targets.json'));
  };
  await scrape(targets);
  if (rules) await write('rules.json', rules);
  await write('prometheus.yml', {
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    scrape_configs: [{ job_name: 'millrace', file_sd_configs: [{ files: [file('targets.json')] }] }],
    ...(rules ? { rule_files: [file('rules.json')] } : {}),
  });
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const child = spawn(
    'prometheus',
    [
      `--config.file=${dir}/prometheus.yml`,
      `--storage.tsdb.path=${dir}/data`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: 'ignore' },
  );
  await untilReady(child, url);
  const get = async <T>(where: string, body?: URLSearchParams): Promise<T> => {
    const response = await fetch(url + where, body ? { method: 'POST', body } : {});
    const reply = (await response.json()) as { error?: string; data: T };
    if (reply.error !== undefined) throw new Error(`Prometheus refuses the query: ${reply.error}`);
    return reply.data;
  };
  return {
    scrape,
    query: async (expr) => {
      type Result = Awaited<ReturnType<Prometheus['query']>>;
      return (await get<{ result: Result }>('/api/v1/query', new URLSearchParams({ query: expr }))).result;
    },
    alerts: async () => (await get<{ alerts: Alert[] }>('/api/v1/alerts')).alerts,
    async close() {
      if (child.exitCode === null) {
        child.kill();
        await once(child, 'exit');
      }
      await rm(dir, { recursive: true, force: true });
    },
  };
}

async function untilReady(child: ChildProcess, url: string): Promise<void> {
  const deadline = performance.now() + READY_TIMEOUT_MS;
  for (;;) {
    if (child.exitCode !== null) throw new Error(`Prometheus ended with ${child.exitCode} at its start`);
    const status = await fetch(`${url}/-/ready`).then(
      (response) => response.status,
      () => 0,
    );
    if (status === 200) return;
    if (performance.now() > deadline) throw new Error(`Prometheus was not ready within ${READY_TIMEOUT_MS} ms`);
    await delay(50);
  }
}
