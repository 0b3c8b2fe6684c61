/**
 * Finds the files that a handler opens by itself. A quoted text counts as a file name when the text is the relative path of a file
 * beside the source, such as in `new URL('./labels.json', import.meta.url)` or `join(import.meta.dirname, 'labels.json')`. Paths
 * that the handler composes at run time are not found.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, resolve } from 'node:path';

/** Matches may overlap: an apostrophe in a comment must not hide the text after the apostrophe. */
const QUOTED = /(?=(['"`])([^'"`\\\n$]{1,255})\1)/g;
/** The digest of a version always contains this file. */
const MODEL_FILE = 'model.onnx';
/** Folders that are read at most: a handler with long tables has many quoted texts with a slash. */
const FOLDERS_MAX = 1_000;

/** Returns the absolute, sorted paths of existing files that the sources name. `sources` has texts by absolute path. */
export async function namedFiles(sources: ReadonlyMap<string, string | null>): Promise<string[]> {
  const folders = new Map<string, Set<string>>();
  const found = new Set<string>();
  for (const [source, text] of sources) {
    const candidates = new Set([...(text ?? '').matchAll(QUOTED)].flatMap(([, , quoted = '']) => spellings(quoted)));
    for (const candidate of candidates) {
      const path = resolve(dirname(source), candidate);
      if (isAbsolute(candidate) || sources.has(path) || basename(path) === MODEL_FILE) continue;
      const folder = dirname(path);
      let names = folders.get(folder);
      if (names === undefined && folders.size < FOLDERS_MAX) {
        names = await filesIn(folder);
        folders.set(folder, names);
      }
      if (names?.has(basename(path)) && (await isFile(path))) found.add(path);
    }
  }
  return [...found].sort();
}

/** The text itself, and the text decoded as a URL. */
function spellings(quoted: string): string[] {
  if (!quoted.includes('%')) return [quoted];
  try {
    return [quoted, decodeURIComponent(quoted)];
  } catch {
    return [quoted];
  }
}

async function filesIn(folder: string): Promise<Set<string>> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  // The files of mounted config maps are symbolic links.
  return new Set(entries.filter((entry) => entry.isFile() || entry.isSymbolicLink()).map(({ name }) => name));
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false;
}

/** SHA-256 (hex) of a file of any size. */
export async function digestFile(path: string): Promise<string> {
  const digest = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1_048_576 })) digest.update(chunk);
  return digest.digest('hex');
}
