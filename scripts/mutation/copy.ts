/** A copy of the repository in which the runs change files: the working tree itself never has a changed program. */
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';

export interface Copy {
  readonly dir: string;
  read(file: string): string;
  write(file: string, text: string): void;
  remove(): void;
}

/** Copies the files that git knows or would add. The packages of npm are links, but the packages of the repository are the copies. */
export function makeCopy(repository: string): Copy {
  const build = path.join(repository, '.build');
  mkdirSync(build, { recursive: true });
  const dir = mkdtempSync(path.join(build, 'mutation-'));
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: repository,
    encoding: 'utf8',
    maxBuffer: 64 * 1_048_576,
  });
  for (const file of listed.split('\0').filter((name) => name !== ''))
    cpSync(path.join(repository, file), path.join(dir, file), { recursive: true });
  for (const modules of ['node_modules', ...nested(repository)]) linkModules(repository, dir, modules);
  return {
    dir,
    read: (file) => readFileSync(path.join(repository, file), 'utf8'),
    write: (file, text) => writeFileSync(path.join(dir, file), text),
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}

const nested = (repository: string): string[] =>
  ['apps', 'packages'].flatMap((folder) =>
    readdirSync(path.join(repository, folder))
      .map((name) => path.join(folder, name, 'node_modules'))
      .filter((modules) => isFolder(path.join(repository, modules))),
  );

function isFolder(place: string): boolean {
  try {
    return readdirSync(place).length >= 0;
  } catch {
    return false;
  }
}

function linkModules(repository: string, dir: string, modules: string): void {
  mkdirSync(path.join(dir, modules), { recursive: true });
  for (const entry of readdirSync(path.join(repository, modules), { withFileTypes: true })) {
    const from = path.join(repository, modules, entry.name);
    const to = path.join(dir, modules, entry.name);
    if (entry.name !== '@millrace') {
      symlinkSync(from, to);
      continue;
    }
    mkdirSync(to);
    // A relative link of a workspace leads to the copy.
    for (const own of readdirSync(from)) symlinkSync(readlinkSync(path.join(from, own)), path.join(to, own));
  }
}
