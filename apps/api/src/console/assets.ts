/**
 * The files of the console, as a browser loads them. The sources are TypeScript: Node removes the types of a file when a browser
 * first requests the file, so the console has no build step (decision 13). Every file stays in memory, also in compressed form.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { createRequire, stripTypeScriptTypes } from 'node:module';
import path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { promisify } from 'node:util';
import { brotliCompress, constants } from 'node:zlib';

const compress = promisify(brotliCompress);
const consoleRequire = createRequire(import.meta.resolve('@millrace/console/package.json'));

/** The libraries of the console: the names that the sources import, and their files. `browser/` begins their paths. */
const LIBRARIES: Readonly<Record<string, string>> = {
  preact: 'preact/dist/preact.mjs',
  'preact/hooks': 'preact/hooks/dist/hooks.mjs',
  htm: 'htm/dist/htm.module.js',
  marked: 'marked/lib/marked.esm.js',
};
const LIBRARY_FOLDER = 'libraries';

const TYPES: Readonly<Record<string, string>> = {
  '.ts': 'text/javascript; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

export interface Asset {
  type: string;
  body: Buffer;
  /** The body in Brotli. */
  compressed: Buffer;
}

export interface ConsoleAssets {
  /** Identifies the content of all files: a part of their paths, so that a browser keeps each file forever. */
  build: string;
  /** The paths of the libraries below the folder of the build, by the names that the sources import. */
  libraries: Readonly<Record<string, string>>;
  /** The paths of all modules that every page needs, relative to the folder of the build. */
  shared: readonly string[];
  /** Returns a file by its path; undefined where the console has no such file. */
  read(file: string): Promise<Asset | undefined>;
}

/** Reads all files. A file is compiled and compressed on its first request. */
export async function openAssets(): Promise<ConsoleAssets> {
  const root = path.join(path.dirname(consoleRequire.resolve('@millrace/console/package.json')), 'src');
  const texts = await readSources(root);
  for (const [name, file] of Object.entries(LIBRARIES)) texts.set(libraryPath(name), await readLibrary(file));
  const files = [...texts].sort(([a], [b]) => (a < b ? -1 : 1));
  const hash = createHash('sha256');
  for (const [file, text] of files) hash.update(`${file}\0${text}\0`);
  const ready = new Map<string, Promise<Asset>>();
  return {
    build: hash.digest('hex').slice(0, 12),
    libraries: Object.fromEntries(Object.keys(LIBRARIES).map((name) => [name, libraryPath(name)])),
    shared: files
      .map(([file]) => file)
      .filter((file) => isModule(file) && !file.startsWith('pages/') && !LAZY.has(file)),
    read: async (file) => {
      const text = texts.get(file);
      if (text === undefined) return undefined;
      const asset = ready.get(file) ?? prepare(file, text);
      ready.set(file, asset);
      return asset;
    },
  };
}

/** The modules that only the card of a model needs. */
const LAZY: ReadonlySet<string> = new Set(['libraries/marked.js', 'ui/markdown.ts']);
const isModule = (file: string): boolean => /\.m?[jt]s$/.test(file);
const libraryPath = (name: string): string => `${LIBRARY_FOLDER}/${name.replace('/', '-')}.js`;

async function readSources(root: string): Promise<Map<string, string>> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const names = entries
    .filter(
      (entry) => entry.isFile() && Object.hasOwn(TYPES, path.extname(entry.name)) && !/\.test\.ts$/.test(entry.name),
    )
    .map((entry) => path.join(entry.parentPath, entry.name));
  const texts = await Promise.all(
    names.map(
      async (name) => [path.relative(root, name).replaceAll(path.sep, '/'), await readFile(name, 'utf8')] as const,
    ),
  );
  return new Map(texts);
}

/** Packages export no file by its path, so the path begins at the package's own folder. */
async function readLibrary(file: string): Promise<string> {
  const [name = ''] = file.split('/', 1);
  for (const folder of consoleRequire.resolve.paths(name) ?? []) {
    const text = await readFile(path.join(folder, file), 'utf8').catch(() => undefined);
    // A source map is not served: the reference would be a request without a response.
    if (text !== undefined) return text.replace(/\n?\/\/# sourceMappingURL=.*\s*$/, '\n');
  }
  throw new Error(`The console needs the file ${file} of its package '${name}'. Run npm ci.`);
}

/** A comment with lines of its own. No text of the sources has such a line. */
const COMMENT = /^[ \t]*(?:\/\*(?:(?!\*\/)[\s\S])*\*\/|\/\/.*)[ \t]*$/gm;

/** Empties the comments, and removes the spaces that stand for types at the ends of lines. Every line keeps its number. */
const withoutComments = (code: string): string =>
  code.replace(COMMENT, (comment) => comment.replaceAll(/[^\n]/g, '')).replaceAll(/[ \t]+$/gm, '');

async function prepare(file: string, text: string): Promise<Asset> {
  const extension = path.extname(file);
  // Each file is compiled in a separate turn: all files in one turn would block the event loop for tens of milliseconds.
  await nextTurn();
  const body = Buffer.from(extension === '.ts' ? withoutComments(stripTypeScriptTypes(text)) : text);
  const compressed = await compress(body, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } });
  return { type: TYPES[extension] ?? 'application/octet-stream', body, compressed };
}
