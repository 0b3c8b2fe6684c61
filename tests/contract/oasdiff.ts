/**
 * Compares two OpenAPI documents with oasdiff, a program in Go. The first use compiles oasdiff into node_modules, which takes up to two
 * minutes. A machine without Go has no oasdiff.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

const VERSION = 'v1.37.0';
const ROOT = path.resolve(import.meta.dirname, '../..');
const CACHE = path.join(ROOT, 'node_modules/.cache/oasdiff');
const PROGRAM = path.join(CACHE, VERSION, process.platform === 'win32' ? 'oasdiff.exe' : 'oasdiff');
/** Where our rules differ from those of oasdiff: docs/api-conventions.md. */
const SEVERITY = path.join(import.meta.dirname, 'severity.txt');

const run = promisify(execFile);

export interface Finding {
  id: string;
  text: string;
  /** 3 is a breaking change. */
  level: number;
  operation: string;
  path: string;
}

/** Compiles oasdiff where it is missing. Resolves to false on a machine without Go, or where Go cannot download modules. */
export async function hasOasdiff(): Promise<boolean> {
  if (existsSync(PROGRAM)) return true;
  await mkdir(CACHE, { recursive: true });
  const folder = await mkdtemp(path.join(CACHE, 'build-'));
  try {
    await run('go', ['install', `github.com/oasdiff/oasdiff@${VERSION}`], { env: { ...process.env, GOBIN: folder } });
    await rename(folder, path.dirname(PROGRAM));
    return true;
  } catch {
    return existsSync(PROGRAM);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The breaking changes between two documents: paths of files, or documents. */
export async function breakingChanges(base: string | object, revision: string | object): Promise<Finding[]> {
  const folder = await mkdtemp(path.join(CACHE, 'compare-'));
  const fileOf = async (name: string, document: string | object): Promise<string> => {
    if (typeof document === 'string') return document;
    const file = path.join(folder, name);
    await writeFile(file, JSON.stringify(document));
    return file;
  };
  try {
    const files = [await fileOf('base.json', base), await fileOf('revision.json', revision)];
    const options = ['--format', 'json', '--flatten-allof', '--severity-levels', SEVERITY];
    const { stdout } = await run(PROGRAM, ['breaking', ...files, ...options], { maxBuffer: 64 * 1_048_576 });
    const findings: Finding[] = JSON.parse(stdout || '[]');
    return findings.filter(({ level }) => level >= 3);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A finding as one line. */
export const lineOf = ({ id, operation, path: where, text }: Finding): string =>
  `${operation} ${where}: ${text} (${id})`;
