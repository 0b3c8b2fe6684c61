/**
 * MODELS_DIR, as it lies on disk: `<model>/<version>/model.onnx`, with model.json, handler.ts and entities/ beside the
 * version folders or, for one version alone, inside them. A version's digest is over all that decides an answer.
 */
import { createHash, hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, readdir, readFile, stat } from 'node:fs/promises';
import { isAbsolute, join, relative, resolve } from 'node:path';
import { canonicalJson } from '../text/canonical-json.ts';
import { digestHandler, handlerFiles } from './handler-file.ts';
import { type ModelFile, ModelFileError, mergeModelFiles, parseModelFile } from './model-config.ts';
import { type OnnxFile, OnnxFileError, readOnnxFile } from './onnx-file.ts';

export const MODEL_NAME = /^[a-z0-9][a-z0-9._-]{0,99}$/;

/** A version's files. Paths are absolute. */
export interface VersionFiles {
  model: string;
  version: string;
  modelPath: string;
  handlerPath: string | null;
  /** model.json of the model, then of the version; those that are there. */
  configPaths: readonly string[];
  /** Entity name → its csv, of all that lie there; model.json says which are read. */
  entityPaths: Readonly<Record<string, string>>;
}

/** A file as its version's digest has it. Whoever uses the file compares the bytes: the path may lead to others by then. */
export interface VersionFile {
  /** Absolute. */
  path: string;
  bytes: number;
  /** SHA-256 (hex). */
  digest: string;
}

/** What onnxruntime loads of a version. */
export interface ModelContent {
  model: VersionFile;
  /** External data; `location` is its path as model.onnx gives it. */
  data: readonly (VersionFile & { location: string })[];
}

/** Bytes of all files that onnxruntime loads of a version. */
export const contentBytes = ({ model, data }: ModelContent): number =>
  data.reduce((sum, { bytes }) => sum + bytes, model.bytes);

/** A version that can be registered. */
export interface FoundVersion extends VersionFiles {
  digest: string;
  content: ModelContent;
  handlerDigest: string | null;
  /** The two digests as 0.1.0 registered the same files: without the files that the handler names. */
  before: { digest: string; handlerDigest: string | null };
  /** Entity name → SHA-256 of its csv, of those that model.json names. */
  entityDigests: Readonly<Record<string, string>>;
  file: ModelFile;
}

/** Something in the folder that cannot be served, for whoever put it there. */
export interface FolderProblem {
  /** Relative to MODELS_DIR. */
  path: string;
  message: string;
}

/** The versions in a models folder and what is wrong beside them. Reads names only, no contents. Throws if `dir` cannot be read. */
export async function listVersions(dir: string): Promise<{ versions: VersionFiles[]; problems: FolderProblem[] }> {
  const versions: VersionFiles[] = [];
  const problems: FolderProblem[] = [];
  for (const file of await onnxIn(dir))
    problems.push({
      path: file,
      message: `A model lies in a folder of its own: put ${file} at ${file.slice(0, -5).toLowerCase()}/1/model.onnx.`,
    });
  for (const model of await foldersIn(dir)) {
    const folder = resolve(dir, model);
    for (const file of await onnxIn(folder))
      problems.push({
        path: model,
        message: `Put ${model}/${file} into a folder of its version: ${model}/1/model.onnx.`,
      });
    for (const version of await foldersIn(folder)) {
      const path = `${model}/${version}`;
      const modelPath = join(folder, version, 'model.onnx');
      if (!(await isFile(modelPath))) {
        const [other] = await onnxIn(join(folder, version));
        if (other !== undefined) problems.push({ path, message: await noModelFile(path, modelPath, other) });
        continue;
      }
      const bad = [model, version].find((name) => !MODEL_NAME.test(name));
      if (bad === undefined) versions.push(await filesOf(folder, model, version, modelPath));
      else
        problems.push({
          path,
          message: `"${bad}" cannot be a name: use a-z, 0-9, '.', '_' and '-', at most 100 of them.`,
        });
    }
  }
  return { versions, problems };
}

/** Says why a version has no model.onnx where its folder has an entry named `other`. */
async function noModelFile(path: string, modelPath: string, other: string): Promise<string> {
  const info = await lstat(modelPath).catch(() => undefined);
  if (info === undefined) return `A version's file is named model.onnx: rename ${path}/${other}.`;
  const kind = info.isDirectory()
    ? 'a directory'
    : info.isSymbolicLink()
      ? 'a link that leads to no file'
      : 'no regular file';
  return `${path}/model.onnx is ${kind}. Put the file of the model in its place.`;
}

async function filesOf(folder: string, model: string, version: string, modelPath: string): Promise<VersionFiles> {
  const own = join(folder, version);
  const [ownHandler, handler, modelConfig, ownConfig] = await Promise.all(
    [join(own, 'handler.ts'), join(folder, 'handler.ts'), join(folder, 'model.json'), join(own, 'model.json')].map(
      async (path) => ((await isFile(path)) ? path : undefined),
    ),
  );
  const entityPaths: Record<string, string> = {};
  for (const base of [folder, own])
    for (const entry of await namesIn(join(base, 'entities')))
      if (entry.endsWith('.csv')) entityPaths[entry.slice(0, -4)] = join(base, 'entities', entry);
  const configPaths = [modelConfig, ownConfig].filter((path) => path !== undefined);
  return { model, version, modelPath, handlerPath: ownHandler ?? handler ?? null, configPaths, entityPaths };
}

/**
 * Size, times and inode of every file that belongs to a version, and when the newest was written (Unix ms). A version is
 * read when two looks at it, some time apart, agree: until then it may be half written.
 */
export async function fingerprint(files: VersionFiles): Promise<{ text: string; newestMs: number }> {
  const folder = resolve(files.modelPath, '..');
  const inFolder = (await namesIn(folder)).map((name) => join(folder, name));
  const handler = files.handlerPath === null ? [] : await handlerFiles(files.handlerPath).catch(() => []);
  const paths = [...inFolder, ...files.configPaths, ...Object.values(files.entityPaths), ...handler];
  let text = '';
  let newestMs = 0;
  for (const path of [...new Set(paths)].sort()) {
    const info = await stat(path).catch(() => undefined);
    if (info === undefined) continue;
    text += `${path}:${info.size}:${info.mtimeMs}:${info.ctimeMs}:${info.ino}\n`;
    newestMs = Math.max(newestMs, info.mtimeMs, info.ctimeMs);
  }
  return { text, newestMs };
}

/**
 * Reads a version whole: its settings and its digest. Throws ModelFileError (a sentence for each fault) on what the owner
 * must mend, anything else on what the disk does.
 */
export async function readVersion(files: VersionFiles): Promise<FoundVersion> {
  const file = await readConfig(files);
  const folder = resolve(files.modelPath, '..');
  const onnx = await readOnnx(files.modelPath);
  // The name too: a prediction says which model and version made it, also when it comes from the cache.
  const name = `${files.model}/${files.version}`;
  const model = await hashFile(files.modelPath);
  const data: (VersionFile & { location: string })[] = [];
  const parts: [string, string][] = [
    ['name', name],
    ['model', model.digest],
  ];
  for (const location of onnx.externalData) {
    const path = externalPath(folder, location);
    if (!(await isFile(path)))
      throw new ModelFileError([`The model reads its data from "${location}", and that file is not in its folder.`]);
    const file = await hashFile(path);
    data.push({ ...file, location });
    parts.push([`data:${location}`, file.digest]);
  }
  const handler = files.handlerPath === null ? null : await digestHandler(files.handlerPath);
  const entityDigests: Record<string, string> = {};
  for (const entity of file.entities ?? []) {
    const path = files.entityPaths[entity];
    if (path === undefined)
      throw new ModelFileError([`model.json names the entity "${entity}", and there is no entities/${entity}.csv.`]);
    entityDigests[entity] = (await hashFile(path)).digest;
    parts.push([`entity:${entity}`, entityDigests[entity]]);
  }
  // Of the settings only labels stand in an answer; the others may change without a new version.
  if (file.labels !== undefined) parts.push(['labels', canonicalJson(file.labels)]);
  const digestWith = (handlerDigest: string | null) => ({
    digest: digestOf(handlerDigest === null ? parts : [...parts, ['handler', handlerDigest]]),
    handlerDigest,
  });
  return {
    ...files,
    file,
    ...digestWith(handler?.digest ?? null),
    before: digestWith(handler?.importsDigest ?? null),
    content: { model, data },
    entityDigests,
  };
}

/** SHA-256 (hex) over named parts, in order of name, each after its length. */
export function digestOf(parts: readonly (readonly [string, string])[]): string {
  const sorted = [...parts].sort(([x], [y]) => (x < y ? -1 : 1));
  return hash(
    'sha256',
    sorted.map(([name, value]) => `${name.length}:${name},${value.length}:${value},`).join(''),
    'hex',
  );
}

/** The settings of a version: its own model.json over its model's. Throws ModelFileError. */
export async function readConfig(files: VersionFiles): Promise<ModelFile> {
  let merged: ModelFile = {};
  for (const path of files.configPaths) {
    const name = relative(resolve(files.modelPath, '../../..'), path);
    merged = mergeModelFiles(merged, parseModelFile(await readFile(path, 'utf8'), name));
  }
  return merged;
}

const LFS_POINTER = 'version https://git-lfs';

async function readOnnx(path: string): Promise<OnnxFile> {
  try {
    return await readOnnxFile(path);
  } catch (error) {
    if (!(error instanceof OnnxFileError)) throw error;
    const start = await readStart(path, LFS_POINTER.length);
    const why =
      start === LFS_POINTER ? 'it is a pointer of Git LFS, and `git lfs pull` gets what it stands for' : error.message;
    throw new ModelFileError([`model.onnx cannot be used: ${why}.`]);
  }
}

async function readStart(path: string, bytes: number): Promise<string> {
  let text = '';
  for await (const chunk of createReadStream(path, { end: bytes - 1, encoding: 'latin1' })) text += chunk;
  return text;
}

/** Where external data lies. Throws ModelFileError for a path that leaves the version's folder. */
export function externalPath(folder: string, location: string): string {
  const path = resolve(folder, location);
  const inside = relative(folder, path);
  const leaves = inside === '' || isAbsolute(inside) || inside.split(/[\\/]/)[0] === '..';
  if (location === '' || isAbsolute(location) || location.includes('\\') || location.includes('\0') || leaves)
    throw new ModelFileError([`The model reads data from "${location}", which is outside its own folder.`]);
  return path;
}

async function hashFile(path: string): Promise<VersionFile> {
  const digest = createHash('sha256');
  let bytes = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1_048_576 })) {
    digest.update(chunk as Buffer);
    bytes += (chunk as Buffer).length;
  }
  return { path, bytes, digest: digest.digest('hex') };
}

async function foldersIn(dir: string): Promise<string[]> {
  const names: string[] = [];
  for (const entry of await readdir(dir, { withFileTypes: true })) {
    if (entry.name.startsWith('.')) continue;
    const linked = entry.isSymbolicLink() && (await stat(join(dir, entry.name)).catch(() => undefined))?.isDirectory();
    if (entry.isDirectory() || linked) names.push(entry.name);
  }
  return names.sort();
}

/** Names of .onnx files, which are where somebody put a model by mistake. */
async function onnxIn(dir: string): Promise<string[]> {
  return (await namesIn(dir)).filter((name) => name.endsWith('.onnx') && !name.startsWith('.'));
}

async function namesIn(dir: string): Promise<string[]> {
  return (await readdir(dir).catch(() => [])).sort();
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false;
}
