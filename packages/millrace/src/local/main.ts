/** The commands that run the parts of Millrace on this machine, on Node 24: `main.ts COMMAND [arguments]`. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { loadEnvFile } from 'node:process';
import { fileURLToPath } from 'node:url';
import { StartError } from '@millrace/local/process/start-error';
import { NPX_COMMANDS } from './command-names.ts';
import { ensureRuntime } from './runtime.ts';

const [command = '', ...args] = process.argv.slice(2);
const root = process.cwd();
// The variables of the environment win.
if (existsSync(path.join(root, '.env'))) loadEnvFile(path.join(root, '.env'));

/** Runs the program of a package as if Node had been started with its file: the API starts more processes from argv[1]. */
async function runProgram(url: string): Promise<void> {
  process.argv.splice(1, process.argv.length, fileURLToPath(url));
  await import(url);
}

// The commands that load a model. `models list` and others need no engine, and the check costs less than a millisecond.
if (['serve', 'worker', 'models'].includes(command)) {
  try {
    ensureRuntime(console.error);
  } catch (error) {
    console.error(error instanceof StartError ? error.message : error);
    process.exit(1);
  }
}

switch (command) {
  case 'serve': {
    const { serve } = await import('./serve.ts');
    const [modelsDir] = args;
    const { env } = process;
    if (modelsDir !== undefined) env.MODELS_DIR = modelsDir;
    await serve({ root, env, names: NPX_COMMANDS });
    break;
  }
  case 'api':
    await runProgram(import.meta.resolve('@millrace/api/main'));
    break;
  case 'worker':
    await runProgram(import.meta.resolve('@millrace/worker/main'));
    break;
  case 'migrate': {
    const { migrateCommand } = await import('./migrate.ts');
    await migrateCommand({ env: process.env, json: args.includes('--json') });
    break;
  }
  case 'keys': {
    const { keysCommand } = await import('./keys.ts');
    await keysCommand({ args, env: process.env, root, program: NPX_COMMANDS.keys });
    break;
  }
  case 'models': {
    const { modelsCommand } = await import('./models.ts');
    await modelsCommand({ args, env: process.env, root, program: NPX_COMMANDS.models });
    break;
  }
  case 'doctor': {
    const { doctor } = await import('./doctor.ts');
    await doctor({ env: process.env, root, json: args.includes('--json') });
    break;
  }
  case 'init': {
    const { init } = await import('./init.ts');
    await init({ folder: args.find((arg) => arg !== '--json') ?? '.', json: args.includes('--json') });
    break;
  }
  default:
    throw new Error(`There is no local command '${command}'.`);
}
