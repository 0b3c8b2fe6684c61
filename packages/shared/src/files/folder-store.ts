/** A file store in a folder. API processes and workers of several machines need a folder that they share. */
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, open, rm } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type FileStore, storeFailed } from './file-store.ts';

export function createFolderStore(folder: string): FileStore {
  const pathOf = (object: string) => path.join(folder, object);
  return {
    async write(object, source) {
      const file = pathOf(object);
      let failed: unknown;
      // The error of the source is not an error of the store.
      const marked = async function* () {
        try {
          yield* source;
        } catch (error) {
          failed = error;
          throw error;
        }
      };
      try {
        await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
        // The bytes are on the disk before the upload is confirmed.
        await pipeline(Readable.from(marked(), { objectMode: false }), createWriteStream(file, WRITE));
      } catch (error) {
        await rm(file, { force: true }).catch(() => {});
        if (failed !== undefined) throw failed;
        throw storeFailed('write the file', error);
      }
    },
    async read(object, part) {
      try {
        const handle = await open(pathOf(object));
        const places = part && { start: part.first, end: part.last };
        return createReadStream('', { fd: handle, highWaterMark: READ_BYTES, ...places });
      } catch (error) {
        if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
        throw storeFailed('read the file', error);
      }
    },
    async remove(object) {
      await rm(pathOf(object), { force: true }).catch((error) => {
        throw storeFailed('delete the file', error);
      });
    },
  };
}

const READ_BYTES = 262_144;
const WRITE = { flags: 'wx', mode: 0o600, flush: true, highWaterMark: 1_048_576 } as const;
