/**
 * Development (WATCH_MODELS): a registered version never changes, so its edited files are served as a separate version, such as
 * `1-edit-2`. The newest edit follows the version in the order of versions, and so is the default of the model.
 */
import { MODEL_NAME } from '@millrace/shared/model-files/model-folder';
import { asEdit, type FoundVersion } from '@millrace/shared/model-files/read-version';
import { compareVersions } from '@millrace/shared/registry/registry';
import type { ModelVersion } from '@millrace/shared/registry/registry-types';
import type { Logger } from 'pino';
import { nameOf } from './folder-watch.ts';
import type { RegistryClient } from './registry-client.ts';

export interface EditedVersionsDeps {
  /** Whether edited files are served. */
  watches: boolean;
  registry: Pick<RegistryClient, 'setState'>;
  log: Logger;
}

const REPLACED = 'Its files were edited again.';
const UNWATCHED = 'Edited files are served only with WATCH_MODELS.';
/** An edit that was drained never returns. */
const SERVED: readonly ModelVersion['state'][] = ['ready', 'loading'];

export class EditedVersions {
  readonly #deps: EditedVersionsDeps;
  /** The name under which the files of a folder are served now, by `model/version` of the folder. */
  readonly #current = new Map<string, string>();

  constructor(deps: EditedVersionsDeps) {
    this.#deps = deps;
  }

  /** The version under which the files are served: their own, or an edit where they differ from the registered files. */
  place(found: FoundVersion, registered: readonly ModelVersion[]): FoundVersion {
    const { watches, log } = this.#deps;
    const known = registered.find((version) => nameOf(version) === nameOf(found));
    if (!watches) return found;
    const isEdited = known !== undefined && known.state !== 'failed' && known.digest !== found.digest;
    const edit = isEdited ? editOf(found, this.editsOf(found, registered)) : found;
    // A longer name is refused as a change of a registered version.
    if (!MODEL_NAME.test(edit.version)) return found;
    if (isEdited && this.#current.get(nameOf(found)) !== nameOf(edit))
      log.info(
        { model: found.model, version: edit.version, edit_of: found.version },
        'edited files: a version of their own',
      );
    this.#current.set(nameOf(found), nameOf(edit));
    return edit;
  }

  /** The edits of a version, in any state. */
  editsOf({ model, version }: Pick<ModelVersion, 'model' | 'version'>, all: readonly ModelVersion[]): ModelVersion[] {
    return all.filter((other) => other.model === model && other.config.editOf === version);
  }

  /**
   * Drains the edits that a newer edit, or the restored files, have replaced. Where no edits are served, drains the edits of the
   * versions of this folder. `found` has the versions of the folder by name.
   */
  async drainOld(registered: readonly ModelVersion[], found: ReadonlyMap<string, unknown>): Promise<void> {
    const { watches, registry } = this.#deps;
    const ready = new Set(registered.filter(({ state }) => state === 'ready').map(nameOf));
    for (const version of registered) {
      const { model, state, config } = version;
      if (config.editOf === undefined || state !== 'ready') continue;
      const folder = nameOf({ model, version: config.editOf });
      const current = this.#current.get(folder);
      if (!watches && found.has(folder)) await registry.setState(version, 'draining', UNWATCHED);
      else if (current !== undefined && current !== nameOf(version) && ready.has(current))
        await registry.setState(version, 'draining', REPLACED);
    }
  }
}

/** The newest edit, if the files are its files or if the edit failed; otherwise the next edit. */
function editOf(found: FoundVersion, edits: readonly ModelVersion[]): FoundVersion {
  const newest = [...edits].sort((a, b) => compareVersions(a.version, b.version)).at(-1);
  if (newest !== undefined) {
    const same = asEdit(found, newest.version);
    // A failed edit has served no request, so the next edit takes its name.
    if (newest.state === 'failed' || (newest.digest === same.digest && SERVED.includes(newest.state))) return same;
  }
  const number = Number(newest?.version.match(/\d+$/)?.[0] ?? 0);
  return asEdit(found, `${found.version}-edit-${number + 1}`);
}
