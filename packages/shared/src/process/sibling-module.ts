/** Finds a module beside another module, in the sources and in a published package. */
import path from 'node:path';

/**
 * Returns the URL of a module beside the module at `from`, for a thread or a child process. `name` has no extension: the sources
 * are TypeScript, and the modules of a published package are JavaScript.
 */
export function siblingModule(from: string, name: string): URL {
  return new URL(`${name}${path.extname(new URL(from).pathname)}`, from);
}
