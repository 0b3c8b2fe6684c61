/** The first states of a version in the registry: loading, then ready or failed. */

import { providersOf } from '@millrace/shared/model-files/engine-settings';
import { resolveModelConfig, stillHold } from '@millrace/shared/model-files/model-config';
import type { VersionFiles } from '@millrace/shared/model-files/model-folder';
import { digestOf } from '@millrace/shared/model-files/parts-digest';
import type { FoundVersion } from '@millrace/shared/model-files/read-version';
import type { ModelVersion } from '@millrace/shared/registry/registry-types';
import { canonicalJson } from '@millrace/shared/text/canonical-json';
import type { Logger } from 'pino';
import { folderNameOf } from './folder-watch.ts';
import type { RegistryClient } from './registry-client.ts';
import { GONE } from './retire-version.ts';
import { isPackageMissing, readEntities, type Verifier } from './verifier.ts';
import { invalidates, type VerifyAgainParams, verifyAgain } from './verify-again.ts';

const TENANT = 'default';

export interface RegisterDeps {
  /** Verifies a version again later: its handler needs a package that is not installed yet. */
  retryLater(name: string): void;
  registry: RegistryClient;
  verifier: Verifier;
  log: Logger;
  now: () => number;
}

export interface RegisterParams {
  found: FoundVersion;
  /** The registry entry of the same name. */
  known: ModelVersion | undefined;
}

/** Verifies and registers a version that this process has not seen before. */
export async function registerVersion(deps: RegisterDeps, { found, known }: RegisterParams): Promise<void> {
  const { registry, verifier, log, now } = deps;
  const fields = { model: found.model, version: found.version };
  if (known !== undefined && known.state !== 'failed' && known.digest !== found.digest) {
    log.error({ ...fields, registered: known.digest, found: found.digest }, CONFLICT);
    await registry.setFound(known, found.digest);
    return;
  }
  if (known?.foundDigest) {
    log.info(fields, 'the files of the version are the registered ones again');
    await registry.setFound(known, null);
  }
  if (known?.digest === found.digest && known.state !== 'failed' && known.state !== 'loading') {
    await follow({ found, known, registry, verifier, log });
    if (known.state === 'retired')
      log.warn(fields, 'retired versions stay so: give it a new version to serve it again');
    return;
  }
  const started = performance.now();
  const verdict = await verifier.verify(found);
  const seconds = (performance.now() - started) / 1_000;
  if (!verdict.ok) {
    log.warn({ ...fields, reason: verdict.reason, seconds }, 'version failed');
    await registry.register(failedVersion(found, verdict.reason, now()));
    if (isPackageMissing(verdict.reason)) deps.retryLater(folderNameOf(found));
    return;
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
    return;
  }
  await registry.setState(version, 'ready', null);
  const { rows, answers: repeats } = verified.config.findings ?? {};
  log.info({ ...fields, digest: found.digest, rows: rows?.reason, answers: repeats?.reason, seconds }, 'version ready');
}

/** Updates a known version whose folder is back, whose settings have changed, or whose findings are too old. */
async function follow(params: VerifyAgainParams): Promise<void> {
  const { known, found, registry } = params;
  if (known.state === 'draining' && known.reason === GONE) await registry.setState(known, 'ready', null);
  const { findings } = known.config;
  const isMoved = String(providersOf(known.config.engine)) !== String(providersOf(found.file.engine));
  // The trials of another provider say nothing about rounding and batches.
  if (isMoved || !stillHold(findings, found.file)) return verifyAgain(params);
  const config = resolveModelConfig(found.file, findings, found.editOf);
  if (canonicalJson(config) !== canonicalJson(known.config))
    await registry.register({ ...known, config }, { purge: invalidates(known.config, config) });
}

const CONFLICT =
  'refused: this version is registered with other content; versions never change: put the registered files back, or give the new files a new version number';

/** The registry entry of a version whose files cannot be read. */
export function brokenVersion(files: VersionFiles, reason: string, nowMs: number): ModelVersion {
  return failedVersion({ ...files, digest: digestOf([['broken', reason]]) }, reason, nowMs);
}

function failedVersion(
  { model, version, digest, editOf }: Pick<FoundVersion, 'model' | 'version' | 'digest' | 'editOf'>,
  reason: string,
  nowMs: number,
): ModelVersion {
  return {
    tenant: TENANT,
    model,
    version,
    digest,
    state: 'failed',
    reason,
    signature: { inputs: [], outputs: [] },
    config: resolveModelConfig({}, {}, editOf),
    handlerDigest: null,
    inputSchema: null,
    outputSchema: null,
    entitySets: {},
    createdAt: nowMs,
  };
}
