/** The checks of a release: versions, the changelog, and the form of each package. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Packed } from './build.ts';
import type { Manifest } from './manifest.ts';

const run = promisify(execFile);

/** Returns the faults of the versions: every package has the version of the repository, and needs the others in this version. */
export function versionFaults(root: { version: string }, manifests: readonly Manifest[]): string[] {
  return manifests.flatMap(({ name, version, dependencies = {} }) => [
    ...(version === root.version ? [] : [`${name} has version ${version}, and package.json has ${root.version}.`]),
    ...Object.entries(dependencies)
      .filter(([dependency, wanted]) => dependency.startsWith('@millrace/') && wanted !== root.version)
      .map(([dependency, wanted]) => `${name} needs ${dependency} ${wanted}, and the release is ${root.version}.`),
  ]);
}

/** Returns the faults of the changelog: the version has a dated section. */
export function changelogFaults(changelog: string, version: string): string[] {
  const heading = changelog.split('\n').find((line) => line.startsWith(`## [${version}]`));
  if (heading === undefined) return [`CHANGELOG.md has no section "## [${version}] - DATE".`];
  return / - \d{4}-\d\d-\d\d$/.test(heading) ? [] : [`CHANGELOG.md: "${heading}" needs the date of the release.`];
}

/** Whether the changelog has entries that belong to no version yet. */
export function hasUnreleased(changelog: string): boolean {
  const section = /^## \[Unreleased\]\n([\s\S]*?)(?=^## \[|$(?![\s\S]))/m.exec(changelog)?.[1] ?? '';
  return /^- /m.test(section);
}

/** Runs publint and attw on a tarball. Returns their output where they find a fault. */
export async function formFaults(root: string, { name, tarball }: Packed): Promise<string[]> {
  const program = (file: string, ...args: string[]) =>
    run(process.execPath, [path.join(root, 'node_modules', file), ...args], {
      env: { ...process.env, NO_COLOR: '1' },
    }).then(
      () => [],
      (error: { stdout?: string; message: string }) => [`${name}: ${error.stdout || error.message}`],
    );
  return (
    await Promise.all([
      program('publint/src/cli.js', 'run', tarball, '--strict'),
      // The packages are modules. CommonJS loads a module with require from Node 20.19 on.
      program('@arethetypeswrong/cli/dist/index.js', tarball, '--profile', 'esm-only', '--no-emoji'),
    ])
  ).flat();
}

const SERVED_AS_SOURCE = '@millrace/console';

/** Returns the files that must not be published. */
export function fileFaults({ name, files }: Packed): string[] {
  // Node runs no TypeScript below node_modules. The API serves the sources of the console, and removes their types.
  const isSource = (file: string) => name !== SERVED_AS_SOURCE && /(?<!\.d)\.m?ts$/.test(file);
  const isForeign = (file: string) => isSource(file) || /\.test\.|(^|\/)\.env|\.tsbuildinfo$/.test(file);
  const paths = files.map((file) => file.path);
  const needed = ['package.json', 'README.md', 'LICENSE'].filter((file) => !paths.includes(file));
  return [
    ...paths.filter(isForeign).map((file) => `${name} contains ${file}, which is not for publication.`),
    ...needed.map((file) => `${name} lacks ${file}.`),
  ];
}

/** Returns what prevents a publication from this checkout. A dry run only reports these reasons. */
export async function publicationFaults(root: string, version: string): Promise<string[]> {
  const git = async (...args: string[]) => (await run('git', args, { cwd: root })).stdout.trim();
  const manifest = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8')) as { repository?: unknown };
  const changelog = await readFile(path.join(root, 'CHANGELOG.md'), 'utf8');
  const tags = (await git('tag', '--points-at', 'HEAD')).split('\n');
  return [
    ...((await git('status', '--porcelain')) === '' ? [] : ['The working tree has changes: commit them.']),
    ...(tags.includes(`v${version}`) ? [] : [`HEAD has no tag v${version}.`]),
    ...(hasUnreleased(changelog) ? [`CHANGELOG.md has entries under Unreleased: move them under ${version}.`] : []),
    ...(manifest.repository === undefined
      ? ['package.json has no "repository": the provenance of npm names the repository.']
      : []),
  ];
}
