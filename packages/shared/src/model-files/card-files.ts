/**
 * Reads the card of a version: README.md, metrics.json, and the images that README.md names. The version's folder has precedence over
 * the model's folder. A file that is too large, or outside the folder, is left out: a card never stops a model.
 */
import { createHash } from 'node:crypto';
import { lstat, readFile } from 'node:fs/promises';
import path from 'node:path';

const README_MAX = 262_144;
const FIGURES_MAX = 65_536;
const IMAGE_MAX = 524_288;
const IMAGES_MAX = 2_097_152;
const IMAGE_COUNT_MAX = 20;
const IMAGE_TYPES: Readonly<Record<string, string>> = {
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.webp': 'image/webp',
  '.gif': 'image/gif',
};
/** `![text](path)`: only relative paths are files. */
const IMAGE = /!\[[^\]]*\]\(\s*<?([^\s)>]+)/g;

export interface CardFiles {
  /** SHA-256 (hex) of the content. */
  digest: string;
  readme: string | null;
  images: Record<string, string>;
  figures: unknown;
}

/** `folders` are the folders that can have the files, the first first. */
export async function readCard(folders: readonly string[]): Promise<CardFiles> {
  const readme = await readFirst(folders, 'README.md', README_MAX);
  const figures = await readFirst(folders, 'metrics.json', FIGURES_MAX);
  const text = readme === undefined ? null : readme.bytes.toString('utf8');
  const card = {
    readme: text,
    images: readme === undefined || text === null ? {} : await readImages(path.dirname(readme.file), text),
    figures: figures === undefined ? null : parse(figures.bytes.toString('utf8')),
  };
  return { ...card, digest: createHash('sha256').update(JSON.stringify(card)).digest('hex') };
}

/** The size and the time of the last change of the files. A card whose stamp is unchanged is not read again. */
export async function cardStamp(folders: readonly string[]): Promise<string> {
  const files = folders.flatMap((folder) => ['README.md', 'metrics.json'].map((name) => path.join(folder, name)));
  const stamps = await Promise.all(
    files.map((file) =>
      lstat(file).then(
        ({ size, mtimeMs }) => `${size}:${mtimeMs}`,
        () => '',
      ),
    ),
  );
  return stamps.join();
}

async function readFirst(folders: readonly string[], name: string, max: number) {
  for (const folder of folders) {
    const file = path.join(folder, name);
    const bytes = await readSmall(file, max);
    if (bytes !== undefined) return { file, bytes };
  }
  return undefined;
}

/** A link could lead out of the folder, so only regular files are read. */
async function readSmall(file: string, max: number): Promise<Buffer | undefined> {
  try {
    const stat = await lstat(file);
    return stat.isFile() && stat.size <= max ? await readFile(file) : undefined;
  } catch {
    return undefined;
  }
}

async function readImages(folder: string, readme: string): Promise<Record<string, string>> {
  const names = [...new Set([...readme.matchAll(IMAGE)].map(([, name = '']) => name))].slice(0, IMAGE_COUNT_MAX);
  const images: Record<string, string> = {};
  let left = IMAGES_MAX;
  for (const name of names) {
    const type = IMAGE_TYPES[path.extname(name).toLowerCase()];
    if (type === undefined || !/^[\w.-]+(\/[\w.-]+)*$/.test(name) || name.split('/').includes('..')) continue;
    const bytes = await readSmall(path.join(folder, name), Math.min(IMAGE_MAX, left));
    if (bytes === undefined) continue;
    left -= bytes.length;
    images[name] = `data:${type};base64,${bytes.toString('base64')}`;
  }
  return images;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
