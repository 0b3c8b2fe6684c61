/**
 * Loads a model from bytes whose digest was verified in this process (docs/decisions/0010). onnxruntime gets bytes and no
 * path: a path can lead to another file between the verification and the load.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import type { Device, Provider } from '@millrace/shared/model-files/engine-settings';
import type { ModelContent } from '@millrace/shared/model-files/model-folder';
import { withStackedSequences } from '@millrace/shared/model-files/stacked-sequences';
import { type TensorModel, withoutZipMaps } from '@millrace/shared/model-files/zip-map';
import type { InferenceSession } from 'onnxruntime-node';
import { openSession, type Place } from './ort-tensor.ts';
import { free, readVerified } from './verified-file.ts';

/** onnxruntime looks for data files that the digest does not cover in this folder, and not in the working directory. */
const NO_FOLDER = '/dev/null/no-unverified-data';

interface Verified {
  model: Buffer;
  data: { path: string; data: Buffer }[];
}

/** The operators of tree ensembles: TreeEnsembleClassifier, TreeEnsembleRegressor, and TreeEnsemble of newer models. */
const TREES = 'TreeEnsemble';

/**
 * onnxruntime divides the trees of one row between its threads, but the rows of a batch between its threads. The two sums differ in
 * their last bits, and a label changes where two classes have equal votes. With one thread a row has the same sum in every batch.
 */
const threadsFor = (model: Buffer, threads: number): number => (model.includes(TREES) ? 1 : threads);

export interface LoadedModel<T> {
  session: InferenceSession;
  seen: T;
  /** The classes of the outputs that were maps. */
  labels: TensorModel['labels'];
  provider: Provider;
  /** Why an earlier device could not open the model. */
  refused?: string;
}

/**
 * Opens the model on the first of the devices that can open it. `look` gets the model's bytes before the memory is returned. Throws
 * ChangedFileError, or what onnxruntime throws for the last device.
 */
export async function loadModel<T>(
  content: ModelContent,
  { threads, devices }: { threads: number; devices: readonly Device[] },
  look: (model: Buffer) => T,
): Promise<LoadedModel<T>> {
  const verified: Verified = { model: readVerified(content.model), data: [] };
  try {
    for (const file of content.data) verified.data.push({ path: file.location, data: readVerified(file) });
    const { model: withTensors, labels } = withoutZipMaps(verified.model);
    const model = withStackedSequences(withTensors);
    const seen = look(model);
    const opened = await openOnFirst({ ...verified, model }, { threads: threadsFor(model, threads), devices });
    return { labels, seen, ...opened };
  } finally {
    free(verified.model);
    for (const { data } of verified.data) free(data);
  }
}

async function openOnFirst(
  verified: Verified,
  { threads, devices }: { threads: number; devices: readonly Device[] },
): Promise<Pick<LoadedModel<unknown>, 'session' | 'provider' | 'refused'>> {
  let refused: string | undefined;
  for (const [at, device] of devices.entries()) {
    try {
      const session = await open(verified, { threads, device });
      return { session, provider: device.provider, ...(refused === undefined ? {} : { refused }) };
    } catch (error) {
      if (at === devices.length - 1) throw error;
      refused = `${device.provider}: ${(error as Error).message.split('\n', 1)[0]}`;
    }
  }
  throw new Error('the version has no device');
}

async function open(verified: Verified, place: Place): Promise<InferenceSession> {
  const { model, data } = verified;
  const extra = { session: { model_external_initializers_file_folder_path: NO_FOLDER } };
  if (data.length === 0) return openSession(model, place, { extra });
  try {
    return await openSession(model, place, { extra, externalData: data });
  } catch {
    // onnxruntime takes data from memory for the initializers of the main graph, spelled without `./`: not for others.
    return openFromFolder(verified, place);
  }
}

/** A private copy of the verified bytes, which is removed as soon as the session is open: a mapped file outlives its name. */
async function openFromFolder({ model, data }: Verified, place: Place): Promise<InferenceSession> {
  const folder = makeFolder();
  const put = (location: string, bytes: Buffer): string => {
    const path = resolve(folder, location);
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeFileSync(path, bytes, { mode: 0o400, flag: 'wx' });
    return path;
  };
  try {
    for (const { path, data: bytes } of data) put(path, bytes);
    return await openSession(put('model.onnx', model), place);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function makeFolder(): string {
  try {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-model-'));
    chmodSync(folder, 0o700);
    return folder;
  } catch (error) {
    throw new Error(
      `the model keeps data of its inner graphs in files, and ${tmpdir()} takes no copy of them (${(error as NodeJS.ErrnoException).code}): set TMPDIR to a folder that can be written`,
    );
  }
}
