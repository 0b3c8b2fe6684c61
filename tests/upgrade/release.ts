/** Provides the code of the last release from the history of the repository, ready to run beside this code. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

/** Change both members with each release. */
export const RELEASE = { version: '0.1.0', commit: '3fa52aca0d337694579c6bf360526c177fd47290' } as const;

const run = promisify(execFile);
const root = path.resolve(import.meta.dirname, '../..');

/**
 * Unpacks the release into a temporary folder, which is removed with this process, and returns the folder. The release
 * uses the installed dependencies, because the two lock files differ only by additions. Throws an error with the
 * helpful command when the history is not available.
 */
export async function unpackRelease(): Promise<string> {
  const known = await run('git', ['-C', root, 'cat-file', '-e', `${RELEASE.commit}^{commit}`]).then(
    () => true,
    () => false,
  );
  if (!known)
    throw new Error(
      `The history of this checkout lacks ${RELEASE.commit}, which is ${RELEASE.version}: run "git fetch --unshallow" in a clone of the repository.`,
    );
  const dir = await mkdtemp(path.join(tmpdir(), 'millrace-release-'));
  process.once('exit', () => rmSync(dir, { recursive: true, force: true }));
  await unpack(dir);
  await linkModules(dir);
  return dir;
}

async function unpack(dir: string): Promise<void> {
  const archive = spawn('git', ['-C', root, 'archive', RELEASE.commit], { stdio: ['ignore', 'pipe', 'inherit'] });
  const tar = spawn('tar', ['-x', '-C', dir], { stdio: ['pipe', 'inherit', 'inherit'] });
  archive.stdout.pipe(tar.stdin);
  const [code] = (await once(tar, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`${RELEASE.version} could not be unpacked: tar ended with ${code}.`);
}

/** Links each package except the packages of the workspaces, which come from the release. */
async function linkModules(dir: string): Promise<void> {
  const own = path.join(dir, 'node_modules/@millrace');
  await mkdir(own, { recursive: true });
  for (const name of await readdir(path.join(root, 'node_modules')))
    if (name !== '@millrace' && !name.startsWith('.'))
      await symlink(path.join(root, 'node_modules', name), path.join(dir, 'node_modules', name));
  for (const group of ['apps', 'packages'])
    for (const name of await readdir(path.join(dir, group)))
      await symlink(path.join(dir, group, name), path.join(own, name));
}
