/** The states of a version in the registry: loading, then ready or failed; draining, then retired. */

import { resolveModelConfig, stillHold } from '@millrace/shared/model-files/model-config';
import { digestOf, type FoundVersion, type VersionFiles } from '@millrace/shared/model-files/model-folder';
import type { ModelVersion } from '@millrace/shared/registry/registry-types';
import { canonicalJson } from '@millrace/shared/text/canonical-json';
import type { Logger } from 'pino';
import type { RegistryClient } from './registry-client.ts';
import { readEntities, type Verifier } from './verifier.ts';
import { invalidates, type VerifyAgainParams, verifyAgain } from './verify-again.ts';

/** The reason of a version whose folder was removed. The version becomes ready again if the folder returns before the version is retired. */
export const GONE = 'Its folder was removed.';

const TENANT = 'default';
// The API uses its copy of the registry for a second. Workers still run the requests that it accepted during that second.
const DRAIN_MS = 10_000;

export interface RegisterDeps {
  found: FoundVersion;
  known: ModelVersion | undefined;
  registry: RegistryClient;
  verifier: Verifier;
  log: Logger;
  now: () => number;
}

/** Verifies and registers a version that this process has not seen before. Resolves to true when the registry has changed. */
export async function registerFound({ found, known, registry, verifier, log, now }: RegisterDeps): Promise<boolean> {
  const fields = { model: found.model, version: found.version };
  if (known !== undefined && known.state !== 'failed' && known.digest !== found.digest) {
    log.error({ ...fields, registered: known.digest, found: found.digest }, CONFLICT);
    await registry.setFound(known, found.digest);
    return true;
  }
  if (known?.foundDigest) {
    log.info(fields, 'the files of the version are the registered ones again');
    await registry.setFound(known, null);
  }
  if (known?.digest === found.digest && known.state !== 'failed' && known.state !== 'loading') {
    await follow({ found, known, registry, verifier, log });
    if (known.state === 'retired')
      log.warn(fields, 'retired versions stay so: give it a new version to serve it again');
    return true;
  }
  const started = performance.now();
  const verdict = await verifier.verify(found);
  const seconds = (performance.now() - started) / 1_000;
  if (!verdict.ok) {
    log.warn({ ...fields, reason: verdict.reason, seconds }, 'version failed');
    await registry.register(failedVersion(found, found.digest, verdict.reason, now()));
    return true;
  }
  const { verified } = verdict;
  for (const [entity, rows] of Object.entries(await readEntities(found)))
    await registry.storeEntities(entity, found.entityDigests[entity]!, rows);
  const version: ModelVersion = {
    tenant: TENANT,
    model: found.model,
    version: found.version,
    digest: found.digest,
    state: 'loading',
    reason: null,
    signature: verified.signature,
    config: verified.config,
    handlerDigest: found.handlerDigest,
    inputSchema: verified.inputSchema,
    outputSchema: verified.outputSchema,
    entitySets: found.entityDigests,
    createdAt: now(),
  };
  if ((await registry.register(version)) === 'conflict') {
    log.error({ ...fields, found: found.digest }, CONFLICT);
    await registry.setFound(version, found.digest);
    return true;
  }
  await registry.setState(version, 'ready', null);
  const { rows, answers } = verified.config.findings ?? {};
  log.info({ ...fields, digest: found.digest, rows: rows?.reason, answers: answers?.reason, seconds }, 'version ready');
  return true;
}

/** Updates a known version whose folder is back, whose settings have changed, or whose findings are too old. */
async function follow(params: VerifyAgainParams): Promise<void> {
  const { known, found, registry } = params;
  if (known.state === 'draining' && known.reason === GONE) await registry.setState(known, 'ready', null);
  const { findings } = known.config;
  if (!stillHold(findings, found.file)) return verifyAgain(params);
  const config = resolveModelConfig(found.file, findings);
  if (canonicalJson(config) !== canonicalJson(known.config))
    await registry.register({ ...known, config }, { purge: invalidates(known.config, config) });
}

const CONFLICT =
  'refused: this version is registered with other content; versions never change: put the registered files back, or give the new files a new version number';

/** The registry entry of a version whose files cannot be read. */
export function brokenVersion(files: VersionFiles, reason: string, nowMs: number): ModelVersion {
  return failedVersion(files, digestOf([['broken', reason]]), reason, nowMs);
}

function failedVersion(files: VersionFiles, digest: string, reason: string, nowMs: number): ModelVersion {
  return {
    tenant: TENANT,
    model: files.model,
    version: files.version,
    digest,
    state: 'failed',
    reason,
    signature: { inputs: [], outputs: [] },
    config: resolveModelConfig({}, {}),
    handlerDigest: null,
    inputSchema: null,
    outputSchema: null,
    entitySets: {},
    createdAt: nowMs,
  };
}

const drainingSince = new WeakMap<RegistryClient, Map<string, number>>();

/** Retires versions that have been draining for DRAIN_MS and have no work left. */
export async function retireDrained(
  registry: RegistryClient,
  registered: readonly ModelVersion[],
  nowMs: number,
  hasWork: (version: ModelVersion) => Promise<boolean> = async () => false,
): Promise<void> {
  const since = drainingSince.get(registry) ?? new Map<string, number>();
  drainingSince.set(registry, since);
  for (const version of registered) {
    const name = `${version.model}/${version.version}`;
    if (version.state !== 'draining') {
      since.delete(name);
      continue;
    }
    const began = since.get(name) ?? nowMs;
    since.set(name, began);
    if (nowMs - began < DRAIN_MS || (await hasWork(version))) continue;
    await registry.setState(version, 'retired', version.reason);
  }
}
