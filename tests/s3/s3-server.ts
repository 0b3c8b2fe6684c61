/**
 * A real S3 server: versitygw, a program in Go that keeps its objects in a folder. The first use compiles the program into node_modules, which
 * takes about two minutes.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const VERSION = 'v1.8.0';
const ROOT = path.resolve(import.meta.dirname, '../..');
const CACHE = path.join(ROOT, 'node_modules/.cache/versitygw');
const PROGRAM = path.join(CACHE, VERSION, process.platform === 'win32' ? 'versitygw.exe' : 'versitygw');
const ACCESS_KEY = 'millrace-test';
const SECRET_KEY = 'millrace-test-secret';
const BUCKET = 'millrace-files';

const run = promisify(execFile);

/** Compiles versitygw if the program is missing. Resolves to false on a machine without Go, or where Go cannot download modules. */
export async function hasS3Server(): Promise<boolean> {
  if (existsSync(PROGRAM)) return true;
  await mkdir(CACHE, { recursive: true });
  const folder = await mkdtemp(path.join(CACHE, 'build-'));
  try {
    const env = { ...process.env, GOBIN: folder };
    await run('go', ['install', `github.com/versity/versitygw/cmd/versitygw@${VERSION}`], { env });
    await rename(folder, path.dirname(PROGRAM));
    return true;
  } catch {
    return existsSync(PROGRAM);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export interface S3Server {
  env: Record<string, string>;
  /** The names of all objects in the bucket, with the unfinished parts. */
  objects(): Promise<string[]>;
  stop(): Promise<void>;
  start(): Promise<void>;
  close(): Promise<void>;
}

export async function startS3Server(): Promise<S3Server> {
  const folder = await mkdtemp(path.join(tmpdir(), 'millrace-s3-'));
  const buckets = path.join(folder, 'buckets');
  const sidecar = path.join(folder, 'sidecar');
  await mkdir(path.join(buckets, BUCKET), { recursive: true });
  await mkdir(sidecar);
  const port = await freePort();
  let child: ChildProcess | undefined;
  const server: S3Server = {
    env: {
      FILES_URL: `s3://${BUCKET}/some/prefix`,
      FILES_S3_ENDPOINT: `http://127.0.0.1:${port}`,
      FILES_S3_ACCESS_KEY_ID: ACCESS_KEY,
      FILES_S3_SECRET_ACCESS_KEY: SECRET_KEY,
    },
    async objects() {
      const entries = await readdir(path.join(buckets, BUCKET), { recursive: true, withFileTypes: true });
      return entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
    },
    async start() {
      const address = ['--port', `127.0.0.1:${port}`, '--access', ACCESS_KEY, '--secret', SECRET_KEY, '--quiet'];
      child = spawn(PROGRAM, [...address, 'posix', '--sidecar', sidecar, buckets], {
        stdio: 'ignore',
      });
      for (;;) {
        if (child.exitCode !== null) throw new Error(`versitygw ended with code ${child.exitCode}`);
        const reached = await fetch(`http://127.0.0.1:${port}/`).then(
          () => true,
          () => false,
        );
        if (reached) return;
      }
    },
    async stop() {
      const stopping = child;
      child = undefined;
      if (stopping === undefined || stopping.exitCode !== null) return;
      const ended = new Promise((resolve) => stopping.once('exit', resolve));
      stopping.kill('SIGKILL');
      await ended;
    },
    async close() {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
  await server.start();
  return server;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
