/** `models`: reads and points versions through the API; `check`, `add` and `retire` work on the folder and the stores of this machine. */
import type { components } from '@millrace/client';
import type { Command } from 'commander';
import { passOn } from '../local-commands.ts';
import { all } from '../program/all.ts';
import { type Context, openContext, withServer } from '../program/context.ts';
import { CommandError } from '../program/exit-codes.ts';

type Version = components['schemas']['Version'];
const PRODUCTION = 'production';

export function addModels(program: Command): void {
  const models = program.command('models').description('list, check, add and change models');
  withServer(models.command('list [model]'))
    .description('list the models, or the versions of a model')
    .action(async (model: string | undefined, options: object) => {
      const context = await openContext(options);
      await (model === undefined ? listModels(context) : listVersions(context, model));
    });
  withServer(models.command('promote <model> <version>'))
    .description('point the alias production at a version')
    .action(async (model: string, version: string, options: object) =>
      promote(await openContext(options), { model, version }),
    );
  withServer(models.command('rollback <model> [version]'))
    .description('point the alias production at an earlier version; without a version at the one before')
    .action(async (model: string, version: string | undefined, options: object) => {
      const context = await openContext(options);
      await promote(context, { model, version: version ?? (await versionBefore(context, model)) });
    });
  passOn(models, 'check').description('load the versions of MODELS_DIR in a limited engine, and print the faults');
  passOn(models, 'tune').description(
    'measure micro-batches, engines and threads of a version: tune NAME --p99 50ms [--input FILE] [--write]',
  );
  passOn(models, 'add').description(
    'check a file and copy the file into MODELS_DIR: add FILE --name NAME [--version V]',
  );
  passOn(models, 'retire').description('take a version out of service for good: retire NAME VERSION');
}

async function listModels({ millrace, out, signal }: Context): Promise<void> {
  const found = await all(millrace.models.list({ signal }));
  const rows = found.map(({ name, default_version, aliases, problem, description }) => [
    name,
    default_version ?? '-',
    Object.entries(aliases)
      .map(([alias, version]) => `${alias}=${version}`)
      .join(' ') || '-',
    problem ?? firstSentence(description),
  ]);
  out.result(found, () =>
    rows.length > 0 ? out.table(['MODEL', 'VERSION', 'ALIASES', 'DESCRIPTION'], rows) : 'The server has no models.',
  );
}

const firstSentence = (text: string): string => text.split(/(?<=\.)\s/, 1)[0] ?? '';

async function listVersions({ millrace, out, signal }: Context, model: string): Promise<void> {
  const found = await all(millrace.models.versions(model, { signal }));
  const rows = found.map(({ version, status, digest, created_at, reason }) => [
    version,
    status,
    digest.slice(0, 12),
    out.time(created_at),
    reason ?? '',
  ]);
  out.result(found, () => out.table(['VERSION', 'STATUS', 'DIGEST', 'CREATED', 'REASON'], rows));
}

async function promote(
  { millrace, out, signal }: Context,
  { model, version }: { model: string; version: string },
): Promise<void> {
  const changed = await millrace.request('PUT', '/v1/models/{model}/aliases/{alias}', {
    path: { model, alias: PRODUCTION },
    body: { version },
    signal,
  });
  out.result(changed, () => `${model}: ${PRODUCTION} is ${version}`);
}

/** Returns the latest ready version that was registered before the version that serves now. */
async function versionBefore({ millrace, signal }: Context, model: string): Promise<string> {
  const [{ default_version: serving }, versions] = await Promise.all([
    millrace.models.get(model, { signal }),
    all(millrace.models.versions(model, { signal })),
  ]);
  const at = versions.findIndex(({ version }) => version === serving);
  const before = versions.slice(at + 1).find(({ status }: Version) => status === 'ready');
  if (before) return before.version;
  throw new CommandError(
    `${model} has no ready version before ${serving ?? 'its first version'}. List the versions: millrace models list ${model}`,
  );
}
