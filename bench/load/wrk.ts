/** Sends the load of a scenario with wrk. wrk.lua selects the body of each request and writes the figures. */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Load, LoadFigures } from './load.ts';

const script = path.join(import.meta.dirname, 'wrk.lua');

/** Runs wrk with one thread, which can send twice as many requests as two cores can serve. */
export async function runWrk(load: Load): Promise<LoadFigures> {
  const file = path.join(load.dir, `bodies-${randomUUID()}.bin`);
  await writeFile(file, Buffer.concat(load.bodies.flatMap(withLength)));
  const headers = Object.entries(load.headers).map(([name, value]) => `${name}: ${value}`);
  const options = ['-t1', `-c${load.connections}`, `-d${load.seconds}s`, '--timeout', '60s', '-s', script];
  const fresh = load.fresh ? [load.fresh.kind, String(load.fresh.at)] : ['none', '0'];
  try {
    const { stdout } = await promisify(execFile)('wrk', [...options, load.url, '--', file, ...fresh, ...headers]);
    const line = stdout.trim().split('\n').at(-1) ?? '';
    return JSON.parse(line) as LoadFigures;
  } finally {
    await rm(file, { force: true });
  }
}

function withLength(body: string | Buffer): Buffer[] {
  const bytes = Buffer.from(body);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  return [length, bytes];
}
