/** Computes the digest of a model's handler.ts with all files that the handler uses, and imports the verified handler. */
import { hash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { type ImportAttributes, registerHooks } from 'node:module';
import { dirname, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Handler } from './handler.ts';
import { digestFile, namedFiles } from './handler-data.ts';
import { placeIn } from './handler-fault.ts';
import { HandlerLoadError, missingPackage, requirePackages } from './handler-packages.ts';
import { type HandlerPackages, packagesOf } from './package-versions.ts';

const RELATIVE_IMPORT = /\b(?:from|import)\s*\(?\s*(['"])(\.{1,2}\/[^'"\n]+)\1/g;
// A handler has a few files. The limit stops a chain of imports without an end.
const FILES_MAX = 200;

export interface HandlerDigests {
  /**
   * SHA-256 (hex) of the source, of the files with a relative import, of the named files (handler-data.ts), and of the versions of
   * the imported packages (package-versions.ts).
   */
  digest: string;
  /** The digests of earlier releases, oldest first: without the named files (0.1.0), and without the packages. */
  earlier: readonly string[];
  /** `name@version` of the packages in `digest`. */
  packages: readonly string[];
}

/** Computes the digests of a handler. Throws when a file cannot be read. */
export async function digestHandler(path: string): Promise<HandlerDigests> {
  return digestsOf(path, await partsOf(path));
}

/** Returns the files of a handler, handler.ts first, and unreadable files too. */
export async function handlerFiles(path: string): Promise<string[]> {
  const { sources, named, packages } = await partsOf(path);
  return [...sources.keys(), ...named, ...packages.files];
}

/** Whether a version was registered with these files of a handler. */
export const isHandlerOf = ({ digest, earlier }: HandlerDigests, registered: string): boolean =>
  registered === digest || earlier.includes(registered);

interface HandlerParts {
  sources: Sources;
  named: readonly string[];
  packages: HandlerPackages;
}

async function partsOf(path: string): Promise<HandlerParts> {
  const sources = await sourcesOf(path);
  const [named, packages] = await Promise.all([namedFiles(sources), packagesOf(sources)]);
  return { sources, named, packages };
}

/** The text of each file by path; null for an unreadable file. */
type Sources = Map<string, string | null>;

async function digestsOf(path: string, { sources, named, packages }: HandlerParts): Promise<HandlerDigests> {
  const base = dirname(resolve(path));
  const parts = [...sources].map(([file, source]): [string, string] => {
    if (source === null) throw new Error(`handler.ts imports ${relative(base, file)}, which cannot be read`);
    return [relative(base, file), hash('sha256', source, 'hex')];
  });
  const importsDigest = digestOfParts(parts);
  for (const file of named) parts.push([relative(base, file), await digestFile(file)]);
  const filesDigest = digestOfParts(parts);
  const { versions } = packages;
  // A path cannot contain NUL, so the name of this part is the name of no file.
  if (versions.length > 0) parts.push(['\0packages', versions.join('\n')]);
  return { digest: digestOfParts(parts), earlier: [importsDigest, filesDigest], packages: versions };
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

/** The files of a handler have changed since the registration of the version. */
export class HandlerChangedError extends Error {
  override name = 'HandlerChangedError';
}

/**
 * The verified sources of the handlers of this process, by module URL with the digest in the query. Node runs these texts and not
 * the files: a file may be replaced after its digest was computed, even before Node reads the file.
 */
const verified = new Map<string, string>();
const DIGEST_QUERY = /\?handler=[0-9a-f]+$/;
let isHooked = false;

/** Makes Node load the files of handlers from `verified`, and resolve Millrace's packages from any models folder. */
function hookImports(): void {
  if (isHooked) return;
  isHooked = true;
  registerHooks({
    resolve(specifier, context, next) {
      const resolveHere = () => next(specifier, { ...context, parentURL: import.meta.url });
      if (verified.has(specifier)) return { url: specifier, shortCircuit: true };
      if (specifier.startsWith('@millrace/shared/')) return resolveHere();
      const digest = context.parentURL?.match(DIGEST_QUERY)?.[0];
      if (digest === undefined) return next(specifier, context);
      if (/^(\.|\/|file:)/.test(specifier))
        return resolveVerified({ specifier, parentURL: context.parentURL!, digest }, context);
      if (specifier.startsWith('#'))
        throw new HandlerLoadError(
          `handler.ts imports '${specifier}' of package.json, which its digest does not cover: use a relative path, such as './file.ts'`,
        );
      // A package beside the handler wins. RDKit, which the bundled model imports, is only installed with Millrace.
      try {
        return next(specifier, context);
      } catch (error) {
        try {
          return resolveHere();
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
  { specifier, parentURL, digest }: { specifier: string; parentURL: string; digest: string },
  { importAttributes }: { importAttributes: ImportAttributes },
) {
  const url = new URL(specifier, parentURL).href + digest;
  if (verified.has(url)) return { url, importAttributes, shortCircuit: true };
  throw new Error(
    `handler.ts imports '${specifier}', which its digest does not cover: use an import with a literal relative path, such as import './file.ts'`,
  );
}

/** Node's rule for a file without package.json: a file with import or export statements is a module. */
function formatOf(url: string, source: string): string {
  if (url.endsWith('.json')) return 'json';
  const isTyped = /\.[cm]?ts$/.test(url);
  const isModule = /\.m[jt]s$/.test(url) || (!/\.c[jt]s$/.test(url) && /^\s*(import|export)\b/m.test(source));
  return (isModule ? 'module' : 'commonjs') + (isTyped ? '-typescript' : '');
}

/** A handler with the texts of its files, as verified. Structured cloning carries the value to another thread. */
export interface VerifiedHandler {
  path: string;
  digest: string;
  /** The path and the text of handler.ts and of each file with a relative import. */
  sources: readonly (readonly [path: string, text: string])[];
}

/** Reads the texts of the handler with this digest. Throws HandlerChangedError when the files have another digest. */
export async function verifyHandler(path: string, digest: string): Promise<VerifiedHandler> {
  const parts = await partsOf(path);
  const digests = await digestsOf(path, parts);
  if (!isHandlerOf(digests, digest)) {
    const packages = digests.packages.slice(0, 20).join(', ');
    throw new HandlerChangedError(
      `handler.ts, or a file that it imports or names, is not the file with which the version was registered` +
        `${packages === '' ? '' : `, or a package has another version than at the registration (here: ${packages})`}` +
        `: restore it, or add a new version`,
    );
  }
  // A source that cannot be read has no digest.
  return { path, digest, sources: [...parts.sources].map(([file, source]) => [file, source ?? '']) };
}

/**
 * Imports a verified handler, once for each path and digest in a thread, from the verified texts. Later changes of the files have no
 * effect. Throws HandlerLoadError, with the line of the handler, when the handler cannot be loaded.
 */
export async function importVerified({ path, digest, sources }: VerifiedHandler): Promise<Handler> {
  hookImports();
  const query = queryOf(digest);
  for (const [file, source] of sources) verified.set(pathToFileURL(file).href + query, source);
  await requirePackages(path);
  const { default: handler }: { default?: Partial<Handler> } = await import(pathToFileURL(path).href + query).catch(
    (error: unknown) => {
      throw loadErrorOf(error, path);
    },
  );
  for (const part of ['input', 'output', 'canonicalize', 'encode', 'decode'] as const)
    if (handler?.[part] === undefined)
      throw new HandlerLoadError(`handler.ts has no default export of defineHandler: "${part}" is missing`);
  return handler as Handler;
}

/** Any value that the module throws, with the line of the handler. */
function loadErrorOf(error: unknown, path: string): Error {
  if (error instanceof HandlerLoadError) return error;
  if (!(error instanceof Error)) return new HandlerLoadError(`handler.ts threw ${String(error).slice(0, THROWN_MAX)}`);
  const missing = missingPackage(error, path);
  if (missing !== undefined) return missing;
  const place = placeIn(error.stack ?? '', error.message);
  return place === undefined
    ? error
    : Object.assign(new HandlerLoadError(`${place}: ${error.message.trim()}`, { cause: error }), {
        stack: error.stack,
      });
}

const THROWN_MAX = 500;
const queryOf = (digest: string): string => `?handler=${digest}`;

/** Verifies and imports the handler at a path. Throws like `verifyHandler` and `importVerified`. */
export async function importHandler(path: string, digest: string): Promise<Handler> {
  const known = verified.has(pathToFileURL(path).href + queryOf(digest));
  return importVerified(known ? { path, digest, sources: [] } : await verifyHandler(path, digest));
}
