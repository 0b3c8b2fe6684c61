/** A model's handler.ts as a file: its digest, over all that it imports beside itself, and the module it is. */
import { hash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { registerHooks } from 'node:module';
import { dirname, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Handler } from './handler.ts';

const RELATIVE_IMPORT = /\b(?:from|import)\s*\(?\s*(['"])(\.{1,2}\/[^'"\n]+)\1/g;
// A handler is a few files; what imports without end is none.
const FILES_MAX = 200;

/**
 * SHA-256 (hex) of a handler: of its source, and where it imports files beside it, of theirs too, by relative path.
 * Packages that it imports are not in it. Throws where one of the files cannot be read.
 */
export async function digestHandler(path: string): Promise<string> {
  const base = dirname(resolve(path));
  const parts = [...(await sourcesOf(path))].map(([file, source]) => {
    if (source === null) throw new Error(`handler.ts imports ${relative(base, file)}, which cannot be read`);
    return [relative(base, file), hash('sha256', source, 'hex')];
  });
  return hash('sha256', JSON.stringify(parts.sort(([x], [y]) => (x! < y! ? -1 : 1))), 'hex');
}

/** Every file that belongs to a handler, itself first; also those that cannot be read. */
export async function handlerFiles(path: string): Promise<string[]> {
  return [...(await sourcesOf(path)).keys()];
}

async function sourcesOf(path: string): Promise<Map<string, string | null>> {
  const sources = new Map<string, string | null>();
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

let isHooked = false;

/**
 * Two things that Node would not do for a handler: find Millrace's own packages from a models folder outside the
 * repository, and load the files it imports anew when its digest is new.
 */
function hookImports(): void {
  if (isHooked) return;
  isHooked = true;
  registerHooks({
    resolve(specifier, context, next) {
      const fromHere = () => next(specifier, { ...context, parentURL: import.meta.url });
      if (specifier.startsWith('@millrace/shared/')) return fromHere();
      const digest = context.parentURL?.match(/\?handler=[0-9a-f]+$/)?.[0];
      if (digest === undefined) return next(specifier, context);
      if (specifier.startsWith('.')) return next(specifier + digest, context);
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
  });
}

/** The handler at a path, loaded once for each digest. Throws where the module is no handler. */
export async function importHandler(path: string, digest: string): Promise<Handler> {
  hookImports();
  const module = (await import(`${pathToFileURL(path).href}?handler=${digest}`)) as { default?: Partial<Handler> };
  const handler = module.default;
  for (const part of ['input', 'output', 'canonicalize', 'encode', 'decode'] as const)
    if (handler?.[part] === undefined)
      throw new Error(`handler.ts exports no handler by default (see defineHandler): "${part}" is missing`);
  return handler as Handler;
}
