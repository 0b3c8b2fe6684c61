/**
 * Lists the models folder (MODELS_DIR): `<model>/<version>/model.onnx`. model.json, handler.ts and entities/ are in the folder of
 * the model, or for a single version in the folder of the version.
 */
import { lstat, readdir, stat } from 'node:fs/promises';
import { join, resolve, sep } from 'node:path';
import { handlerFiles } from './handler-file.ts';
import { TASK_FILE_NAMES } from './task-files.ts';
import {
  NO_TRITON_CONFIG,
  readTritonConfig,
  TRITON_CONFIG,
  type TritonConfig,
  TritonConfigError,
} from './triton-config.ts';

export const MODEL_NAME = /^[a-z0-9][a-z0-9._-]{0,99}$/;

/** The files of a version. Paths are absolute. */
export interface VersionFiles {
  model: string;
  version: string;
  /** The folder of the version. Absolute, as all paths. */
  folder: string;
  /** `model.onnx`, `model.onnx/model.onnx` or `onnx/model.onnx`: external data is in the folder of this file. */
  modelPath: string;
  handlerPath: string | null;
  /** The existing files model.json of the model, then of the version. */
  configPaths: readonly string[];
  /** Entity name → CSV file, for all CSV files. model.json selects the entities that are read. */
  entityPaths: Readonly<Record<string, string>>;
  /** Output name → file of labels, from Triton's config.pbtxt. */
  labelPaths: Readonly<Record<string, string>>;
}

/** A file in the digest of a version. Users of the file compare the bytes, because the file may be replaced meanwhile. */
export interface VersionFile {
  /** Absolute. */
  path: string;
  bytes: number;
  /** SHA-256 (hex). */
  digest: string;
}

/** The files of a version that onnxruntime loads. */
export interface ModelContent {
  model: VersionFile;
  /** External data. `location` is the path as written in model.onnx. */
  data: readonly (VersionFile & { location: string })[];
}

/** The bytes of all files of a version that onnxruntime loads. */
export const contentBytes = ({ model, data }: ModelContent): number =>
  data.reduce((sum, { bytes }) => sum + bytes, model.bytes);

/** A problem in the models folder, for the owner of the files. */
export interface FolderProblem {
  /** Relative to MODELS_DIR. */
  path: string;
  message: string;
}

/** Lists the versions and the problems of a models folder. Reads names only. Throws when `dir` cannot be read. */
export async function listVersions(dir: string): Promise<{ versions: VersionFiles[]; problems: FolderProblem[] }> {
  const versions: VersionFiles[] = [];
  const problems: FolderProblem[] = [];
  for (const file of await onnxIn(dir))
    problems.push({
      path: file,
      message: `A model needs a folder of its own: move ${file} to ${file.slice(0, -5).toLowerCase()}/1/model.onnx.`,
    });
  for (const model of await foldersIn(dir)) {
    const folder = resolve(dir, model);
    for (const file of await onnxIn(folder))
      problems.push({
        path: model,
        message: `A version needs a folder of its own: move ${model}/${file} to ${model}/1/model.onnx.`,
      });
    const triton = await readTritonConfig(folder).catch((error: unknown) => {
      if (!(error instanceof TritonConfigError)) throw error;
      problems.push({ path: model, message: `${model}/${TRITON_CONFIG} is ignored: ${error.message}.` });
      return NO_TRITON_CONFIG;
    });
    for (const version of await foldersIn(folder)) {
      const path = `${model}/${version}`;
      const modelPath = await modelFileIn(join(folder, version), triton.modelFile);
      if (modelPath === undefined) {
        const [other] = await onnxIn(join(folder, version));
        if (other !== undefined)
          problems.push({ path, message: await noModelFile(join(folder, version), triton.modelFile, other) });
        continue;
      }
      if (version === 'onnx' && (await isFile(join(folder, 'config.json'))))
        problems.push({
          path: model,
          message: `${model} is a Hugging Face folder: a version needs a folder of its own. Move all files of ${model} to ${model}/1/.`,
        });
      const bad = [model, version].find((name) => !MODEL_NAME.test(name));
      if (bad === undefined) versions.push(await filesOf({ folder, model, version, modelPath, triton }));
      else
        problems.push({
          path,
          message: `"${bad}" cannot be a name: use at most 100 characters of a-z, 0-9, '.', '_' and '-'.`,
        });
    }
  }
  return { versions, problems };
}

/**
 * The model file of a version: `model.onnx` or the name in config.pbtxt; `model.onnx/model.onnx`, which is Triton's layout of a
 * model of several files; or `onnx/model.onnx` of a Hugging Face folder. The external data is in the same folder as the model file.
 * Undefined without a model file.
 */
async function modelFileIn(version: string, name: string): Promise<string | undefined> {
  const path = join(version, name);
  if (await isFile(path)) return path;
  for (const other of [join(path, 'model.onnx'), join(version, 'onnx', 'model.onnx')])
    if (await isFile(other)) return other;
  return undefined;
}

/** The reason that a version has no model file although its folder has an entry `other`. */
async function noModelFile(path: string, name: string, other: string): Promise<string> {
  const shown = path.split(sep).slice(-2).join('/');
  const info = await lstat(join(path, name)).catch(() => undefined);
  if (info === undefined) {
    const origin = name === NO_TRITON_CONFIG.modelFile ? '' : ` by default_model_filename in ${TRITON_CONFIG}`;
    return `The file of a version must be named ${name}${origin}: rename ${shown}/${other}.`;
  }
  if (info.isDirectory()) return `${shown}/${name} is a directory: expected the file ${shown}/${name}/model.onnx.`;
  const kind = info.isSymbolicLink() ? 'a link without a target' : 'not a regular file';
  return `${shown}/${name} is ${kind}: expected the file of the model.`;
}

interface VersionPlace {
  /** The folder of the model. */
  folder: string;
  model: string;
  version: string;
  modelPath: string;
  triton: TritonConfig;
}

async function filesOf({ folder, model, version, modelPath, triton }: VersionPlace): Promise<VersionFiles> {
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
  return {
    model,
    version,
    folder: own,
    modelPath,
    handlerPath: ownHandler ?? handler ?? null,
    configPaths,
    entityPaths,
    labelPaths: triton.labelPaths,
  };
}

/**
 * Size, times and inode of every file of a version, and the time of the newest change (Unix ms). A version is read only when two
 * fingerprints with some time between are equal. Until then the files may be incomplete.
 */
export async function fingerprint(files: VersionFiles): Promise<{ text: string; newestMs: number }> {
  const folders = [...new Set([files.folder, resolve(files.modelPath, '..')])];
  const inFolder = (
    await Promise.all(folders.map(async (folder) => (await namesIn(folder)).map((name) => join(folder, name))))
  ).flat();
  const handler = files.handlerPath === null ? [] : await handlerFiles(files.handlerPath).catch(() => []);
  const ofTask = TASK_FILE_NAMES.filter((name) => name.includes('/')).map((name) => join(files.folder, name));
  const settings = [...ofTask, ...files.configPaths, ...Object.values(files.labelPaths)];
  const paths = [...inFolder, ...settings, ...Object.values(files.entityPaths), ...handler];
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

async function foldersIn(dir: string): Promise<string[]> {
  const names: string[] = [];
  for (const entry of await readdir(dir, { withFileTypes: true })) {
    if (entry.name.startsWith('.')) continue;
    const linked = entry.isSymbolicLink() && (await stat(join(dir, entry.name)).catch(() => undefined))?.isDirectory();
    if (entry.isDirectory() || linked) names.push(entry.name);
  }
  return names.sort();
}

/** Names of misplaced .onnx files. */
async function onnxIn(dir: string): Promise<string[]> {
  return (await namesIn(dir)).filter((name) => name.endsWith('.onnx') && !name.startsWith('.'));
}

async function namesIn(dir: string): Promise<string[]> {
  return (await readdir(dir).catch(() => [])).sort();
}

export async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false;
}
