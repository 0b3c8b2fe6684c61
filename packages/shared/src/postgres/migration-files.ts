/** Reads the SQL files of migrations/, in the order of their application. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { type OnlineIndex, onlineIndexOf } from './online-index.ts';

export interface Migration {
  /** The file's name without `.sql`, such as `0001_tenants`. */
  name: string;
  sql: string;
  /** SHA-256 (hex) of the file with Unix line ends, so that a checkout on Windows has the same checksum. */
  checksum: string;
  /**
   * Whether older code can work with the changed schema: the first line of the file is `-- compatible`. Older processes refuse to
   * start on a database with a newer migration that is not compatible.
   */
  compatible: boolean;
  /** The index that the file builds outside a transaction, while other processes write. Undefined for any other file. */
  onlineIndex: OnlineIndex | undefined;
}

/** The folder of the SQL files: in the repository the folder `migrations`, and in a published package the package's own copy. */
export const MIGRATIONS_DIR =
  ['../../migrations', '../../../../migrations']
    .map((folder) => path.resolve(import.meta.dirname, folder))
    .find((folder) => existsSync(folder)) ?? path.resolve(import.meta.dirname, '../../migrations');

export async function readMigrations(dir: string): Promise<Migration[]> {
  const files = (await readdir(dir)).filter((file) => file.endsWith('.sql')).sort();
  return Promise.all(
    files.map(async (file) => {
      const sql = (await readFile(path.join(dir, file), 'utf8')).replaceAll('\r\n', '\n');
      return {
        name: file.slice(0, -'.sql'.length),
        sql,
        checksum: createHash('sha256').update(sql).digest('hex'),
        compatible: /^-- compatible\b/.test(sql),
        onlineIndex: onlineIndexOf(file, sql),
      };
    }),
  );
}
