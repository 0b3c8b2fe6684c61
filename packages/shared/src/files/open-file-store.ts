/** Opens the file store of the settings. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FileStore } from './file-store.ts';
import { createFolderStore } from './folder-store.ts';

export interface FileStoreSettings {
  filesUrl: string | undefined;
  filesS3Endpoint: string | undefined;
  filesS3Region: string;
  filesS3AccessKeyId: string | undefined;
  filesS3SecretAccessKey: string | undefined;
}

/** Returns undefined without FILES_URL: the server then has no files. The client of S3 is loaded only for an S3 store. */
export async function openFileStore(settings: FileStoreSettings): Promise<FileStore | undefined> {
  const { filesUrl: url } = settings;
  if (url === undefined) return undefined;
  if (!url.startsWith('s3://'))
    return createFolderStore(url.startsWith('file:') ? fileURLToPath(url) : path.resolve(url));
  const { createS3Store } = await import('./s3-store.ts');
  const { bucket, prefix } = placeOf(url);
  const { filesS3Endpoint: endpoint, filesS3Region: region } = settings;
  return createS3Store({
    bucket,
    prefix,
    endpoint: endpoint ?? `https://s3.${region}.amazonaws.com`,
    region,
    accessKeyId: settings.filesS3AccessKeyId ?? '',
    secretAccessKey: settings.filesS3SecretAccessKey ?? '',
  });
}

function placeOf(url: string): { bucket: string; prefix: string } {
  const [bucket = '', ...rest] = url.slice('s3://'.length).split('/');
  const prefix = rest.filter((part) => part !== '').join('/');
  return { bucket, prefix: prefix === '' ? '' : `${prefix}/` };
}
