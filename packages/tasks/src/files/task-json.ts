/** Reads the files of a task, and verifies that each file is the registered file. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TaskFiles } from '@millrace/shared/model-files/task-files';

/** A JSON object of a file. The members are not verified. */
export type JsonObject = { readonly [member: string]: unknown };

export const objectOf = (value: unknown): JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.fromEntries(Object.entries(value)) : {};

export const numberOf = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined);

export const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

/**
 * The value of a JSON file of the task. Undefined without the file. Blocks: a task reads files only in a handler thread and in an
 * engine.
 */
export function readTaskJson({ folder, files }: Pick<TaskFiles, 'folder' | 'files'>, name: string): unknown {
  const file = files.find((candidate) => candidate.name === name);
  if (file === undefined) return undefined;
  const bytes = readFileSync(join(folder, name));
  if (createHash('sha256').update(bytes).digest('hex') !== file.digest)
    throw new Error(
      `${name} is not the file with which the version was registered: restore the file, or add the new one as a new version`,
    );
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw new Error(`${name} is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}
