/** Stores the cards of the versions in the models folder. A card is for people, so a fault here never stops a scan. */
import path from 'node:path';
import { cardStamp, readCard } from '@millrace/shared/model-files/card-files';
import type { Logger } from 'pino';
import type { RegistryClient } from './registry-client.ts';

/** The pause between two looks at the files of all cards. */
const PAUSE_MS = 10_000;

export interface CardWriterDeps {
  modelsDir: string;
  registry: Pick<RegistryClient, 'cardDigests' | 'storeCard'>;
  log: Logger;
}

interface NamedVersion {
  model: string;
  version: string;
}

export class CardWriter {
  readonly #deps: CardWriterDeps;
  /** The stamp of the files of each stored card, by `model/version`. */
  readonly #stamps = new Map<string, string>();
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(deps: CardWriterDeps) {
    this.#deps = deps;
  }

  /** Stores the cards whose files changed. A version that this process has not seen is not delayed by the pause. */
  async write(versions: readonly NamedVersion[]): Promise<void> {
    const due = performance.now() - this.#lookedAt >= PAUSE_MS;
    const chosen = due ? versions : versions.filter(({ model, version }) => !this.#stamps.has(`${model}/${version}`));
    if (chosen.length === 0) return;
    if (due) this.#lookedAt = performance.now();
    try {
      await this.#writeChanged(chosen);
    } catch (error) {
      this.#deps.log.warn({ err: error }, 'the cards of the models could not be stored');
    }
  }

  async #writeChanged(versions: readonly NamedVersion[]): Promise<void> {
    const { modelsDir, registry } = this.#deps;
    let digests: ReadonlyMap<string, string> | undefined;
    for (const { model, version } of versions) {
      const name = `${model}/${version}`;
      const folders = [path.join(modelsDir, model, version), path.join(modelsDir, model)];
      const stamp = await cardStamp(folders);
      if (this.#stamps.get(name) === stamp) continue;
      const card = await readCard(folders);
      digests ??= await registry.cardDigests();
      if (digests.get(name) !== card.digest) await registry.storeCard({ model, version }, card);
      this.#stamps.set(name, stamp);
    }
  }
}
