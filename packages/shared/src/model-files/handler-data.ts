/**
 * The files that a handler opens by itself: a text in quotes that is the relative path of a file beside the source, such as
 * `new URL('./labels.json', import.meta.url)` or `join(import.meta.dirname, 'labels.json')`. A path that the handler puts together
 * is not found.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, resolve } from 'node:path';

/** Matches overlap: an apostrophe in a comment must not hide the text behind it. */
const QUOTED = /(?=(['"`])([^'"`\\\n$]{1,255})\1)/g;
/** The digest of a version has this file anyway. */
const MODEL_FILE = 'model.onnx';
/** Folders that are looked into; a handler with long tables has many texts with a slash. */
const FOLDERS_MAX = 1_000;

/** Paths, absolute and sorted, of the files that the sources name and that are there. `sources`: text by absolute path. */
export async function namedFiles(sources: ReadonlyMap<string, string | null>): Promise<string[]> {
  const folders = new Map<string, Set<string>>();
  const found = new Set<string>();
  for (const [source, text] of sources) {
    const candidates = new Set(
      [...(text ?? '').matchAll(QUOTED)].flatMap(([, , quoted]) => spellings(quoted as string)),
    );
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

/** As it stands, and as a URL spells it. */
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
  // Mounted config maps are links to files.
  return new Set(entries.filter((entry) => entry.isFile() || entry.isSymbolicLink()).map(({ name }) => name));
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false;
}

/** SHA-256 (hex) of a file of any size. */
export async function digestFile(path: string): Promise<string> {
  const digest = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1_048_576 })) digest.update(chunk as Buffer);
  return digest.digest('hex');
}
