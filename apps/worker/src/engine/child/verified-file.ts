/** Reads a file of a version once and verifies its digest. The returned bytes are the hashed bytes. */
import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { basename } from 'node:path';
import type { VersionFile } from '@millrace/shared/model-files/model-folder';

/** Reports that the content of a file has changed since the version was registered. */
export class ChangedFileError extends Error {
  override name = 'ChangedFileError';
}

const CHUNK_BYTES = 8 * 1_048_576;

/**
 * Reads a file into a separate buffer and verifies its size and SHA-256. Throws ChangedFileError. Reads at most the expected size,
 * because a much larger file may have replaced the file.
 */
export function readVerified({ path, bytes, digest }: VersionFile): Buffer {
  const name = basename(path);
  const changed = (how: string) =>
    new ChangedFileError(
      `${name} is not the file with which the version was registered (${how}): restore the file, or add the new one as a new version`,
    );
  const file = open(path, changed);
  try {
    const info = fstatSync(file);
    if (!info.isFile()) throw changed('it is no regular file');
    if (info.size !== bytes) throw changed(`it has ${info.size} bytes instead of ${bytes}`);
    // A buffer from Node's pool shares its memory with other buffers, and `free` would release the memory of all of them.
    const content = Buffer.allocUnsafeSlow(bytes);
    const sum = createHash('sha256');
    for (let at = 0; at < bytes; ) {
      const read = readSync(file, content, at, Math.min(CHUNK_BYTES, bytes - at), at);
      if (read === 0) throw changed(`it ended after ${at} of ${bytes} bytes`);
      sum.update(content.subarray(at, at + read));
      at += read;
    }
    const found = sum.digest('hex');
    if (found !== digest) throw changed(`its SHA-256 is ${found.slice(0, 12)} instead of ${digest.slice(0, 12)}`);
    return content;
  } finally {
    closeSync(file);
  }
}

function open(path: string, changed: (how: string) => Error): number {
  try {
    // A named pipe at the path must not block the engine.
    return openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    throw changed(`it cannot be read: ${(error as NodeJS.ErrnoException).code}`);
  }
}

/** Returns the memory of a buffer of `readVerified` at once. The garbage collector can keep a gigabyte for minutes. */
export function free(content: Buffer): void {
  (content.buffer as ArrayBuffer).transfer(0);
}
