/** A model's handler.ts as a file: its digest, over all that it imports beside itself, and the module it is. */
import { hash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { type ImportAttributes, registerHooks } from 'node:module';
import { dirname, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Handler } from './handler.ts';
import { digestFile, namedFiles } from './handler-data.ts';

const RELATIVE_IMPORT = /\b(?:from|import)\s*\(?\s*(['"])(\.{1,2}\/[^'"\n]+)\1/g;
// A handler is a few files; what imports without end is none.
const FILES_MAX = 200;

export interface HandlerDigests {
  /** SHA-256 (hex) over the source, the files that it imports by relative path, and the files that it names (handler-data.ts). */
  digest: string;
  /** Without the named files, as 0.1.0 registered versions; the same as `digest` where the handler names none. */
  importsDigest: string;
}

/** Packages that a handler imports are not in its digest. Throws where one of the files cannot be read. */
export async function digestHandler(path: string): Promise<HandlerDigests> {
  const sources = await sourcesOf(path);
  return digestsOf(path, sources, await namedFiles(sources));
}

/** Every file that belongs to a handler, itself first; also those that cannot be read. */
export async function handlerFiles(path: string): Promise<string[]> {
  const sources = await sourcesOf(path);
  return [...sources.keys(), ...(await namedFiles(sources))];
}

/** Whether the files of a handler are those with which a version was registered. */
export const isHandlerOf = ({ digest, importsDigest }: HandlerDigests, registered: string): boolean =>
  registered === digest || registered === importsDigest;

/** Text of each file by its path; null where the file cannot be read. */
type Sources = Map<string, string | null>;

async function digestsOf(path: string, sources: Sources, named: readonly string[]): Promise<HandlerDigests> {
  const base = dirname(resolve(path));
  const parts = [...sources].map(([file, source]): [string, string] => {
    if (source === null) throw new Error(`handler.ts imports ${relative(base, file)}, which cannot be read`);
    return [relative(base, file), hash('sha256', source, 'hex')];
  });
  const importsDigest = digestOfParts(parts);
  if (named.length === 0) return { digest: importsDigest, importsDigest };
  for (const file of named) parts.push([relative(base, file), await digestFile(file)]);
  return { digest: digestOfParts(parts), importsDigest };
}

const digestOfParts = (parts: readonly (readonly [string, string])[]): string =>
  hash('sha256', JSON.stringify([...parts].sort(([x], [y]) => (x < y ? -1 : 1))), 'hex');

async function sourcesOf(path: string): Promise<Sources> {
  const sources: Sources = new Map();
  const left = [resolve(path)];
  for (let file = left.shift(); file !== undefined; file = left.shift()) {
    if (sources.has(file)) continue;
    if (sources.size === FILES_MAX) throw new Error(`handler.ts imports more than ${FILES_MAX} files`);
    const source = await readFile(file, 'utf8').catch(() => null);
    sources.set(file, source);
    for (const [, , specifier] of source?.matchAll(RELATIVE_IMPORT) ?? [])
      left.push(resolve(dirname(file), specifier!));
  }
  return sources;
}

/** The handler's files changed after its version was registered. */
export class HandlerChangedError extends Error {
  override name = 'HandlerChangedError';
}

/**
 * Verified sources of the handlers of this process, by module URL (with the digest in its query). Node runs these texts:
 * the files may be replaced at any time after their digest was computed, even before the import has read them.
 */
const verified = new Map<string, string>();
const DIGEST_QUERY = /\?handler=[0-9a-f]+$/;
let isHooked = false;

/** Has Node take a handler's files from `verified`, and find Millrace's own packages from any models folder. */
function hookImports(): void {
  if (isHooked) return;
  isHooked = true;
  registerHooks({
    resolve(specifier, context, next) {
      const fromHere = () => next(specifier, { ...context, parentURL: import.meta.url });
      if (verified.has(specifier)) return { url: specifier, shortCircuit: true };
      if (specifier.startsWith('@millrace/shared/')) return fromHere();
      const digest = context.parentURL?.match(DIGEST_QUERY)?.[0];
      if (digest === undefined) return next(specifier, context);
      if (/^(\.|\/|file:)/.test(specifier)) return resolveVerified(specifier, context.parentURL!, digest, context);
      // A package beside the handler goes before ours; the bundled model's RDKit is only here.
      try {
        return next(specifier, context);
      } catch (error) {
        try {
          return fromHere();
        } catch {
          throw error;
        }
      }
    },
    load(url, context, next) {
      const source = verified.get(url);
      if (source === undefined) return next(url, context);
      return { source, format: formatOf(url.replace(DIGEST_QUERY, ''), source), shortCircuit: true };
    },
  });
}

function resolveVerified(
  specifier: string,
  parentURL: string,
  digest: string,
  { importAttributes }: { importAttributes: ImportAttributes },
) {
  const url = new URL(specifier, parentURL).href + digest;
  if (verified.has(url)) return { url, importAttributes, shortCircuit: true };
  throw new Error(
    `handler.ts imports '${specifier}', which its digest does not cover: write a plain import of a relative path, such as import './file.ts'`,
  );
}

/** As Node decides it, without package.json: a file with import or export statements is a module. */
function formatOf(url: string, source: string): string {
  if (url.endsWith('.json')) return 'json';
  const isTyped = /\.[cm]?ts$/.test(url);
  const isModule = /\.m[jt]s$/.test(url) || (!/\.c[jt]s$/.test(url) && /^\s*(import|export)\b/m.test(source));
  return (isModule ? 'module' : 'commonjs') + (isTyped ? '-typescript' : '');
}

/**
 * The handler at a path, loaded once for each digest: from the texts that have this digest, whatever becomes of the files.
 * Throws HandlerChangedError where the files have another digest, and Error where the module is no handler.
 */
export async function importHandler(path: string, digest: string): Promise<Handler> {
  hookImports();
  const query = `?handler=${digest}`;
  const url = pathToFileURL(path).href + query;
  if (!verified.has(url)) {
    const sources = await sourcesOf(path);
    if (!isHandlerOf(await digestsOf(path, sources, await namedFiles(sources)), digest))
      throw new HandlerChangedError(
        `handler.ts, or a file that it imports or names, is not the file with which the version was registered: restore it, or add a new version`,
      );
    for (const [file, source] of sources) verified.set(pathToFileURL(file).href + query, source!);
  }
  const module = (await import(url)) as { default?: Partial<Handler> };
  const handler = module.default;
  for (const part of ['input', 'output', 'canonicalize', 'encode', 'decode'] as const)
    if (handler?.[part] === undefined)
      throw new Error(`handler.ts exports no handler by default (see defineHandler): "${part}" is missing`);
  return handler as Handler;
}
