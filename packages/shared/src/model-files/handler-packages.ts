/** Finds the packages that a handler lacks: package.json beside the handler lists them, or an import of the handler names them. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A handler cannot be loaded. The message is for the owner of the handler. */
export class HandlerLoadError extends Error {
  override name = 'HandlerLoadError';
}

const own = createRequire(import.meta.url);

/** A package of npm, with its scope. A longer text in package.json is no name. */
const NAME = /^(@[a-z0-9~][\w.~-]{0,212}\/)?[a-z0-9~_-][\w.~-]{0,212}$/i;

/** Throws HandlerLoadError if `dependencies` of package.json beside the handler has a package that is not installed. */
export async function requirePackages(handlerPath: string): Promise<void> {
  const folder = dirname(handlerPath);
  const missing = (await dependenciesOf(folder)).filter((name) => !isInstalled(name, folder));
  if (missing.length === 0) return;
  const names = missing.map((name) => `'${name}'`).join(', ');
  throw new HandlerLoadError(
    `Cannot find ${missing.length === 1 ? 'package' : 'packages'} ${names} of ${placeOf(folder)}/package.json: run \`npm install\` in ${placeOf(folder)}.`,
  );
}

/** The last two folders: messages do not name other folders of this machine. */
const placeOf = (folder: string): string => join(basename(dirname(folder)), basename(folder));

async function dependenciesOf(folder: string): Promise<string[]> {
  const text = await readFile(join(folder, 'package.json'), 'utf8').catch(() => undefined);
  if (text === undefined) return [];
  let dependencies: unknown;
  try {
    ({ dependencies } = JSON.parse(text) as { dependencies?: unknown });
  } catch (error) {
    throw new HandlerLoadError(
      `${placeOf(folder)}/package.json is not JSON: ${error instanceof Error ? error.message : error}.`,
    );
  }
  if (typeof dependencies !== 'object' || dependencies === null) return [];
  return Object.keys(dependencies).filter((name) => NAME.test(name));
}

/** As Node looks for packages: in node_modules of the folder and of the folders above it, then in Millrace's packages. */
function isInstalled(name: string, folder: string): boolean {
  for (let at = folder; ; at = dirname(at)) {
    if (existsSync(join(at, 'node_modules', name))) return true;
    if (dirname(at) === at) break;
  }
  return (own.resolve.paths(name) ?? []).some((modules) => existsSync(join(modules, name)));
}

const MISSING = /^Cannot find package '([^']{1,220})' imported from (.+)$/;

/**
 * The error of an import, with the name of the missing package and the command that installs the package. Undefined for another error.
 * A package of the handler can itself lack a package.
 */
export function missingPackage(error: unknown, handlerPath: string): HandlerLoadError | undefined {
  if (!(error instanceof Error)) return undefined;
  const [, name, from = ''] = MISSING.exec(error.message) ?? [];
  if (name === undefined) return undefined;
  const importer = from.startsWith('file:') ? fileURLToPath(from) : from;
  const packageName = importer.split(/[\\/]node_modules[\\/]/).at(-1) ?? '';
  const [first = '', second = ''] = packageName.split(/[\\/]/);
  const who =
    packageName === importer ? basename(importer) : `'${first.startsWith('@') ? `${first}/${second}` : first}'`;
  const place = placeOf(dirname(handlerPath));
  return new HandlerLoadError(
    `Cannot find package '${name}', which ${who} imports: run \`npm install ${name}\` in ${place}.`,
    { cause: error },
  );
}
