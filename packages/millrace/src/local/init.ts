/** `init`: writes a folder with an example model, a compose file, settings and a client. */
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { runtimeVersion } from './runtime.ts';

const TEMPLATES = path.join(import.meta.dirname, '../../templates');
const PACKAGE = path.join(import.meta.dirname, '../../package.json');

export interface InitParams {
  folder: string;
  json: boolean;
}

/** Writes the files. An existing file is never replaced: the command then changes nothing and fails. */
export async function init({ folder, json }: InitParams): Promise<void> {
  const { version } = JSON.parse(await readFile(PACKAGE, 'utf8')) as { version: string };
  const files = await filesOf(version);
  await mkdir(folder, { recursive: true });
  const present = new Set(await readdir(folder));
  const taken = [...new Set(files.map(([file]) => file.split('/', 1)[0] as string))].filter((name) =>
    present.has(name),
  );
  if (taken.length > 0) {
    console.error(
      `${folder} has ${taken.join(', ')} already, and init replaces no file. Choose another folder: millrace init FOLDER`,
    );
    process.exitCode = 1;
    return;
  }
  for (const [file, content, mode] of files) {
    const target = path.join(folder, file);
    await mkdir(path.dirname(target), { recursive: true });
    await writeFile(target, content, { flag: 'wx', mode });
  }
  const names = files.map(([file]) => file);
  const isHere = path.resolve(folder) === process.cwd();
  console.log(
    json
      ? JSON.stringify({ folder, files: names })
      : [
          ...names.map((file) => `  ${file}`),
          '',
          'Next:',
          ...(isHere ? [] : [`  cd ${folder}`]),
          '  npm install',
          '  npx millrace serve',
          '  node client.mjs     # in a second terminal',
        ].join('\n'),
  );
}

type File = [file: string, content: string | Buffer, mode: number];

async function filesOf(version: string): Promise<File[]> {
  const template = (name: string) => readFile(path.join(TEMPLATES, name));
  const compose = (await template('docker-compose.yml')).toString();
  const manifest = { private: true, type: 'module', dependencies: { '@millrace/client': version, millrace: version } };
  const settings = `# Settings of \`millrace serve\` and of docker compose. The millrace documentation lists all settings.\nPORT=8080\nAPI_KEYS_REQUIRED=false\nPOSTGRES_PASSWORD=${randomBytes(24).toString('hex')}\n`;
  const model = {
    description: 'The example of millrace init: y = relu(x · w) for rows of two numbers.',
    row_independent: true,
    max_batch: 64,
  };
  return [
    ['package.json', `${JSON.stringify(manifest, undefined, 2)}\n`, 0o644],
    ['.env', settings, 0o600],
    ['.gitignore', 'node_modules/\n.millrace/\n.env\n', 0o644],
    [
      'docker-compose.yml',
      compose.replaceAll('MILLRACE_VERSION', version).replaceAll('RUNTIME_VERSION', runtimeVersion()),
      0o644,
    ],
    ['client.mjs', await template('client.mjs'), 0o644],
    ['models/example/model.json', `${JSON.stringify(model, undefined, 2)}\n`, 0o644],
    ['models/example/1/model.onnx', await template('model.onnx'), 0o644],
  ];
}
