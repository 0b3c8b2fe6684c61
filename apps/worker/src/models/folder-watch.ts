/** Scans the models folder and reports new, changed and removed versions, once their files have stopped changing. */
import {
  type FolderProblem,
  fingerprint,
  listVersions,
  type VersionFiles,
} from '@millrace/shared/model-files/model-folder';
import { type FoundVersion, readVersion } from '@millrace/shared/model-files/read-version';

export interface FolderNews {
  /** Versions that cannot be read, and why. */
  broken: { files: VersionFiles; reason: string }[];
  /** `model/version` of versions that were reported before and are gone. */
  gone: string[];
  /** Each problem is reported once. */
  problems: FolderProblem[];
}

// Files whose last write is older than SETTLED_MS are complete at the first scan. Younger files need two equal scans.
const SETTLED_MS = 1_500;

export const nameOf = ({ model, version }: { model: string; version: string }): string => `${model}/${version}`;

/** `model/version` of the folder with the files of a version. */
export const folderNameOf = ({ model, version, editOf = version }: FoundVersion): string =>
  nameOf({ model, version: editOf });

export class FolderWatch {
  readonly #dir: string;
  readonly #only: ReadonlySet<string>;
  /** Fingerprint at the last scan, by `model/version`. */
  #seen = new Map<string, string>();
  /** Fingerprint at the last report, by `model/version`. */
  readonly #reported = new Map<string, string>();
  readonly #missing = new Set<string>();
  readonly #problems = new Set<string>();

  /** `only` limits the scan to these models. An empty list means all models. */
  constructor(dir: string, only: readonly string[]) {
    this.#dir = dir;
    this.#only = new Set(only);
  }

  /**
   * Calls `onFound` during the scan for each version whose files are new or have changed since its last report. Throws when the
   * folder cannot be read, because an unreadable folder does not mean that its models are gone.
   */
  async scan(nowMs: number, onFound: (found: FoundVersion) => void): Promise<FolderNews> {
    const listed = await listVersions(this.#dir);
    const versions = listed.versions.filter(({ model }) => this.includes(model));
    const news: FolderNews = { broken: [], gone: [], problems: [] };
    const seen = new Map<string, string>();
    for (const files of versions) {
      const name = nameOf(files);
      const { text, newestMs } = await fingerprint(files);
      seen.set(name, text);
      this.#missing.delete(name);
      if (this.#reported.get(name) === text) continue;
      const settled = newestMs < nowMs - SETTLED_MS || this.#seen.get(name) === text;
      if (!settled) continue;
      try {
        const found = await readVersion(files);
        // The files were written during the read: the next scan reads them again.
        if ((await fingerprint(files)).text !== text) continue;
        this.#reported.set(name, text);
        onFound(found);
      } catch (error) {
        this.#reported.set(name, text);
        news.broken.push({ files, reason: (error as Error).message });
      }
    }
    this.#findGone(seen, news);
    this.#seen = seen;
    for (const problem of listed.problems) {
      const text = `${problem.path}: ${problem.message}`;
      if (!this.#problems.has(text)) news.problems.push(problem);
      this.#problems.add(text);
    }
    return news;
  }

  /** Reports a version as gone when two scans miss its files, because an operator can replace a folder by two moves. */
  #findGone(seen: ReadonlyMap<string, string>, news: FolderNews): void {
    for (const name of [...this.#reported.keys()]) {
      if (seen.has(name)) continue;
      if (this.#missing.delete(name)) {
        this.#reported.delete(name);
        news.gone.push(name);
      } else this.#missing.add(name);
    }
  }

  /** Whether the last scan saw files of a version. */
  has(name: string): boolean {
    return this.#seen.has(name);
  }

  /** Whether the scan includes a model. */
  includes(model: string): boolean {
    return this.#only.size === 0 || this.#only.has(model);
  }

  /** Makes the next scan report a version again. */
  forget(name: string): void {
    this.#reported.delete(name);
  }
}
