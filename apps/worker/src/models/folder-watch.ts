/** Looks through the models folder and tells what is new in it, once it has stopped changing. */
import {
  type FolderProblem,
  type FoundVersion,
  fingerprint,
  listVersions,
  readVersion,
  type VersionFiles,
} from '@millrace/shared/model-files/model-folder';

export interface FolderNews {
  /** Versions that cannot be read, and why. */
  broken: { files: VersionFiles; reason: string }[];
  /** `model/version` of versions that were told before and are gone. */
  gone: string[];
  /** Told once each. */
  problems: FolderProblem[];
}

// What nobody has written to for this long is taken to be whole at the first look; what is younger is looked at twice.
const SETTLED_MS = 1_500;

export const nameOf = ({ model, version }: { model: string; version: string }): string => `${model}/${version}`;

export class FolderWatch {
  readonly #dir: string;
  readonly #only: ReadonlySet<string>;
  /** Fingerprint at the last look. */
  #seen = new Map<string, string>();
  /** Fingerprint when it was last told. */
  readonly #told = new Map<string, string>();
  readonly #missing = new Set<string>();
  readonly #problems = new Set<string>();

  /** `only` narrows to some models; empty is all. */
  constructor(dir: string, only: readonly string[]) {
    this.#dir = dir;
    this.#only = new Set(only);
  }

  /**
   * Calls `onFound` for each version whose files are new or changed since it was last told, while the look goes on.
   * Throws where the folder cannot be read: that is no reason to think that its models are gone.
   */
  async look(nowMs: number, onFound: (found: FoundVersion) => void): Promise<FolderNews> {
    const listed = await listVersions(this.#dir);
    const versions = listed.versions.filter(({ model }) => this.#only.size === 0 || this.#only.has(model));
    const news: FolderNews = { broken: [], gone: [], problems: [] };
    const seen = new Map<string, string>();
    for (const files of versions) {
      const name = nameOf(files);
      const { text, newestMs } = await fingerprint(files);
      seen.set(name, text);
      this.#missing.delete(name);
      if (this.#told.get(name) === text) continue;
      const settled = newestMs < nowMs - SETTLED_MS || this.#seen.get(name) === text;
      if (!settled) continue;
      try {
        const found = await readVersion(files);
        // Written to while it was read: next time.
        if ((await fingerprint(files)).text !== text) continue;
        this.#told.set(name, text);
        onFound(found);
      } catch (error) {
        this.#told.set(name, text);
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

  /** Gone is what is missing at two looks: a folder may be moved away and back by those who replace it. */
  #findGone(seen: ReadonlyMap<string, string>, news: FolderNews): void {
    for (const name of [...this.#told.keys()]) {
      if (seen.has(name)) continue;
      if (this.#missing.delete(name)) {
        this.#told.delete(name);
        news.gone.push(name);
      } else this.#missing.add(name);
    }
  }

  /** Tells a version again at the next look. */
  forget(name: string): void {
    this.#told.delete(name);
  }
}
