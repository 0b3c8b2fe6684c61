/** Logs each change of the version that serves a model by default. */
import type { RegisteredModel } from '@millrace/shared/registry/registry-types';
import type { Logger } from 'pino';

interface Default {
  version: string | null;
  /** The aliases as one text: a changed text is the cause of a change by a request. */
  aliases: string;
}

export class DefaultVersions {
  readonly #log: Pick<Logger, 'info'>;
  readonly #ofTenant = new Map<string, ReadonlyMap<string, Default>>();

  constructor(log: Pick<Logger, 'info'>) {
    this.#log = log;
  }

  /** Compares the models of a tenant with the last call. The first call of a tenant logs nothing. */
  update(tenant: string, models: readonly RegisteredModel[]): void {
    const now = new Map(models.map((model) => [model.model, defaultOf(model)]));
    const before = this.#ofTenant.get(tenant);
    this.#ofTenant.set(tenant, now);
    if (before === undefined) return;
    for (const [model, { version, aliases }] of now) {
      const was = before.get(model);
      if (was === undefined || was.version === version) continue;
      // A folder of a new version, or the end of a version, changes no alias.
      const cause = was.aliases === aliases ? 'versions' : 'alias';
      this.#log.info({ tenant, model, from: was.version, to: version, cause }, 'the default version changed');
    }
  }
}

const defaultOf = ({ defaultVersion, aliases }: RegisteredModel): Default => ({
  version: defaultVersion ?? null,
  aliases: JSON.stringify(Object.entries(aliases).sort()),
});
