/** Runs `npm run models` on a models folder. */
import { execFile } from 'node:child_process';
import path from 'node:path';

const ROOT = path.resolve(import.meta.dirname, '../..');

export interface CommandResult {
  code: number;
  text: string;
}

/** The command may look for servers only in the folder above `dir`. */
export function runModels({ dir, args }: { dir: string; args: readonly string[] }): Promise<CommandResult> {
  const { PATH, HOME } = process.env;
  const env = { PATH, HOME, MILLRACE_DIR: path.dirname(dir), MODELS_DIR: dir };
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      ['scripts/run.mjs', 'scripts/models.ts', ...args],
      { cwd: ROOT, env },
      (error, out, err) => resolve({ code: error === null ? 0 : Number(error.code), text: out + err }),
    );
  });
}
