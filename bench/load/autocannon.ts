/** Sends the load of a scenario with autocannon, where wrk is not installed. */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Load, LoadFigures } from './load.ts';

const child = path.join(import.meta.dirname, 'autocannon-child.mjs');

/** Runs autocannon in its own process, as wrk runs: the bench's own event loop must not slow the measured system. */
export async function runAutocannon(load: Load): Promise<LoadFigures> {
  const file = path.join(load.dir, `load-${randomUUID()}.json`);
  const bodies = load.bodies.map((body) => Buffer.from(body).toString('base64'));
  await writeFile(file, JSON.stringify({ ...load, bodies }));
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [child, file]);
    return JSON.parse(stdout) as LoadFigures;
  } finally {
    await rm(file, { force: true });
  }
}
