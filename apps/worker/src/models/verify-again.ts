/** Verifies a version again when its findings are missing or older than the rules of this release. */

import { providersOf } from '@millrace/shared/model-files/engine-settings';
import type { ModelConfig } from '@millrace/shared/model-files/model-config';
import { stillHold } from '@millrace/shared/model-files/model-config';
import type { FoundVersion } from '@millrace/shared/model-files/read-version';
import type { ModelVersion } from '@millrace/shared/registry/registry-types';
import type { Logger } from 'pino';
import type { RegistryClient } from './registry-client.ts';
import type { Verifier } from './verifier.ts';

export interface VerifyAgainParams {
  found: FoundVersion;
  known: ModelVersion;
  registry: RegistryClient;
  verifier: Verifier;
  log: Logger;
}

export const isVerified = (found: FoundVersion, { config }: ModelVersion): boolean =>
  stillHold(config.findings, found.file);

/** A version that fails this verification stays in service, and its results are not cached. */
export async function verifyAgain({ found, known, registry, verifier, log }: VerifyAgainParams): Promise<void> {
  const fields = { model: known.model, version: known.version };
  const verdict = await verifier.verify(found);
  if (!verdict.ok) {
    log.warn({ ...fields, reason: verdict.reason }, 'the version was not verified again: its results are not cached');
    return;
  }
  const { config } = verdict.verified;
  const { rows, answers: repeats } = config.findings ?? {};
  log.info({ ...fields, rows: rows?.reason, answers: repeats?.reason }, 'version verified again');
  await registry.register({ ...known, config }, { purge: invalidates(known.config, config) });
}

/** Whether results that were cached under the earlier settings can be wrong under the new settings. */
export const invalidates = (earlier: ModelConfig, config: ModelConfig): boolean =>
  // Providers round differently.
  String(providersOf(earlier.engine)) !== String(providersOf(config.engine)) ||
  (earlier.rowIndependent && !config.rowIndependent) ||
  (earlier.deterministic !== false && config.deterministic === false);
