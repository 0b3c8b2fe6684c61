/** Compiles the workspaces to JavaScript, and packs each workspace as a tarball that npm can install. */
import { execFile } from 'node:child_process';
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { type Manifest, publishedManifest, type RootManifest } from './manifest.ts';

const run = promisify(execFile);
const WORKSPACES = ['apps', 'packages'];
/** Files of a source folder that the compiler does not copy, and that a program reads at run time. */
const READ_AT_RUN_TIME = /\.(lua|wasm|json|css|html|svg|txt|yml|onnx)$/;
/** The API removes the types of these sources itself, so the package has the sources. */
const SERVED_AS_SOURCE = 'apps/console';
/** Folders of a workspace beside `src`. */
const PLAIN_FOLDERS = ['bin', 'launcher', 'templates', 'public'];

export interface PackedFile {
  path: string;
  size: number;
}

export interface Packed {
  name: string;
  version: string;
  /** The folder that npm packed. */
  folder: string;
  tarball: string;
  files: readonly PackedFile[];
}

/** Builds all packages below `out`, and returns the tarballs in the order in which they can be published. */
export async function buildPackages(root: string, out: string): Promise<Packed[]> {
  await rm(out, { recursive: true, force: true });
  const compiled = path.join(out, 'compiled');
  const compiler = path.join(root, 'node_modules/typescript/bin/tsc');
  // Each further checker infers most types again: four checkers took 26 s of processor time, and one takes 16 s.
  const args = [compiler, '-p', 'tsconfig.build.json', '--checkers', '1', '--outDir', compiled];
  await run(process.execPath, args, { cwd: root }).catch((error: { stdout?: string; message: string }) => {
    throw new Error(`The compiler found faults:\n${error.stdout || error.message}`);
  });
  const rootManifest: RootManifest = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8'));
  const folders: string[] = [];
  for (const workspace of await workspacesOf(root)) {
    const source: Manifest = JSON.parse(await readFile(path.join(root, workspace, 'package.json'), 'utf8'));
    const folder = path.join(out, 'packages', source.name.replace('/', '-'));
    await stage({ root, compiled, workspace, folder }, publishedManifest(source, rootManifest));
    folders.push(folder);
  }
  return inOrder(await pack(folders, path.join(out, 'tarballs')));
}

async function workspacesOf(root: string): Promise<string[]> {
  const folders = await Promise.all(
    WORKSPACES.map(async (parent) =>
      (await readdir(path.join(root, parent), { withFileTypes: true }))
        .filter((entry) => entry.isDirectory())
        .map(({ name }) => path.join(parent, name)),
    ),
  );
  return folders.flat().sort();
}

interface Stage {
  root: string;
  /** The output of the compiler. */
  compiled: string;
  /** The workspace, relative to the root. */
  workspace: string;
  folder: string;
}

async function stage({ root, compiled, workspace, folder }: Stage, manifest: Manifest): Promise<void> {
  const source = path.join(root, workspace);
  const asSource = workspace === SERVED_AS_SOURCE;
  await mkdir(folder, { recursive: true });
  if (!asSource) await cp(path.join(compiled, workspace), folder, { recursive: true });
  await cp(path.join(source, 'src'), path.join(folder, 'src'), {
    recursive: true,
    filter: (file) => !path.extname(file) || READ_AT_RUN_TIME.test(file) || (asSource && /(?<!\.test)\.ts$/.test(file)),
  });
  const present = await readdir(source);
  for (const name of PLAIN_FOLDERS.filter((plain) => present.includes(plain)))
    await cp(path.join(source, name), path.join(folder, name), { recursive: true });
  if (manifest.name === '@millrace/shared')
    await cp(path.join(root, 'migrations'), path.join(folder, 'migrations'), { recursive: true });
  await cp(path.join(root, 'LICENSE'), path.join(folder, 'LICENSE'));
  await writeFile(path.join(folder, 'package.json'), `${JSON.stringify(manifest, undefined, 2)}\n`);
  if (present.includes('README.md')) await cp(path.join(source, 'README.md'), path.join(folder, 'README.md'));
  else await writeFile(path.join(folder, 'README.md'), readmeOf(manifest));
}

const readmeOf = ({ name, description }: Manifest) =>
  `# ${name}\n\n${description}\n\nThis package is a part of Millrace, which serves ONNX models through a queue. Install \`millrace\` for the servers and the command\nline, and \`@millrace/client\` for the client.\n`;

/** Packs all folders in one run of npm, because a run for each folder takes a second more. */
async function pack(folders: readonly string[], target: string): Promise<Packed[]> {
  await mkdir(target, { recursive: true });
  const args = ['pack', ...folders, '--json', '--ignore-scripts', '--pack-destination', target];
  const { stdout } = await run('npm', args, { maxBuffer: 64 * 1_048_576 });
  const parsed: unknown = JSON.parse(stdout);
  // npm 11 writes a list, and npm 12 an object by name.
  const entries = (Array.isArray(parsed) ? parsed : Object.values(parsed as object)) as {
    name: string;
    version: string;
    filename: string;
    files: PackedFile[];
  }[];
  return folders.map((folder) => {
    const entry = entries.find(({ name }) => name.replace('/', '-') === path.basename(folder));
    if (!entry) throw new Error(`npm packed nothing in ${folder}.`);
    const { name, version, filename, files } = entry;
    return { name, version, folder, tarball: path.join(target, filename), files };
  });
}

/** A package is published after the packages that it needs. */
function inOrder(packed: readonly Packed[]): Packed[] {
  const order = ['shared', 'tasks', 'handler', 'local', 'client', 'console'].map((name) => `@millrace/${name}`);
  const place = ({ name }: Packed) => (name === 'millrace' ? 99 : (order.indexOf(name) + 100) % 100);
  return [...packed].sort((a, b) => place(a) - place(b));
}
