/** Where the bytes of files are: a folder, or a bucket of an S3-compatible store. */
import type { Readable } from 'node:stream';

export interface FileStore {
  /** Writes an object. Rejects with the error of `source`, or with FileStoreError. A failed write leaves at most an unfinished object. */
  write(object: string, source: AsyncIterable<Uint8Array>): Promise<void>;
  /** Returns the bytes of an object, or of a part of it; undefined if the object does not exist. Rejects with FileStoreError. */
  read(object: string, part?: BytePart): Promise<Readable | undefined>;
  /** Deletes an object and, with `unfinished`, the parts of its upload. A missing object is no error. Rejects with FileStoreError. */
  remove(object: string, unfinished: boolean): Promise<void>;
}

/** The bytes from `first` to `last`, counted from 0. Both belong to the part, and both are in the object. */
export interface BytePart {
  first: number;
  last: number;
}

/** The store does not respond, refuses the operation, or has no room. */
export class FileStoreError extends Error {
  override name = 'FileStoreError';
}

/** The error of a failed operation. The message names the operation and the reason, and no secret. */
export const storeFailed = (operation: string, cause: unknown): FileStoreError =>
  cause instanceof FileStoreError
    ? cause
    : new FileStoreError(`The file store could not ${operation}: ${reasonOf(cause)}`, { cause });

const reasonOf = (cause: unknown): string => {
  if (!(cause instanceof Error)) return String(cause).slice(0, 200);
  const inner = cause.cause instanceof Error ? `: ${cause.cause.message}` : '';
  return `${cause.message}${inner}`.slice(0, 300);
};
