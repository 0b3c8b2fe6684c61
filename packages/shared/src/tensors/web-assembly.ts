/** Opens the small WebAssembly programs of this folder. */
import { readFileSync } from 'node:fs';

// The types of Node 24 do not declare WebAssembly.
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object) => { exports: object };
};

/** The exports of a program without imports. Throws a TypeError if one of the names is missing. */
export function openProgram<T extends object>(file: URL, names: readonly (keyof T & string)[]): T {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(file)));
  for (const name of names) if (!(name in exports)) throw new TypeError(`${file.pathname} does not export '${name}'.`);
  return exports as T;
}
