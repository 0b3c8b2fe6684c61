/** The last states of a version in the registry: ready, then draining, then retired. */
import type { ModelVersion } from '@millrace/shared/registry/registry-types';
import { nameOf } from './folder-watch.ts';
import type { RegistryClient } from './registry-client.ts';

/** The reason of a version whose folder was removed. The version becomes ready again if the folder returns before the version is retired. */
export const GONE = 'Its folder was removed.';

// The API uses its copy of the registry for a second. Workers still run the requests that it accepted during that second.
const DRAIN_MS = 10_000;

export interface RetirementDeps {
  registry: RegistryClient;
  now: () => number;
  /** Whether predictions of a version still wait. */
  hasWork: (version: ModelVersion) => Promise<boolean>;
}

export class VersionRetirement {
  readonly #deps: RetirementDeps;
  /** Time at which this process first saw the version draining, by `model/version`. */
  readonly #drainingSince = new Map<string, number>();

  constructor(deps: RetirementDeps) {
    this.#deps = deps;
  }

  /** Drains a version whose folder was removed. */
  async drainRemoved(version: ModelVersion): Promise<void> {
    if (version.state === 'ready') await this.#deps.registry.setState(version, 'draining', GONE);
  }

  /** Retires versions that have been draining for DRAIN_MS and have no work left. */
  async retireIdle(registered: readonly ModelVersion[]): Promise<void> {
    const { registry, now, hasWork } = this.#deps;
    const nowMs = now();
    for (const version of registered) {
      const name = nameOf(version);
      if (version.state !== 'draining') {
        this.#drainingSince.delete(name);
        continue;
      }
      const began = this.#drainingSince.get(name) ?? nowMs;
      this.#drainingSince.set(name, began);
      if (nowMs - began < DRAIN_MS || (await hasWork(version))) continue;
      await registry.setState(version, 'retired', version.reason);
    }
  }
}
