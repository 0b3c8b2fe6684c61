/**
 * The names that the code base no longer uses, each with its replacement. docs/glossary.md defines the terms to use instead.
 *
 * Names that a stored format or a file with a checksum holds stay: `UNCHANGEABLE` and `STORED_NAMES` list them.
 */
import path from 'node:path';

export interface RetiredName {
  /** Matches the words of a line. An identifier counts as its words: `firstAnswer` is `first answer`. */
  words?: RegExp;
  /** Matches a whole identifier, in the case given. */
  identifier?: RegExp;
  use: string;
  /** The files that the entry is about; every file when absent. */
  only?: readonly string[];
}

const API_WITHOUT_WEBHOOKS = ['apps/api/src/{cache,http,models,open-inference,predictions,queue,stores}/**'];

export const RETIRED_NAMES: readonly RetiredName[] = [
  { words: /\b(un)?answer(s|ed|ing|er)?\b/, use: 'result (of a prediction), response (of HTTP), reply (of a store)' },
  { words: /\bquestions?\b/, use: 'request, input' },
  { words: /\b(tells?|told|telling)\b/, use: 'send, report, return, notify, distinguish' },
  { words: /\b(ask(s|ed|ing|er|ers)?|unasked)\b/, use: 'request, call, read' },
  { words: /\bdoorbells?\b/, use: 'work signal' },
  { words: /\boutbox(es)?\b/, use: 'response batch (API), delivery claims (worker)' },
  { words: /\b(seats?|occupants?)\b/, use: 'engine slot, engine instance' },
  { words: /\bstandings\b/, use: 'lane health' },
  { words: /\bpump(s|ed|ing)?\b/, use: 'lane scheduler' },
  { words: /\bremember(s|ed|ing)?\b/, use: 'store, cache, parsed requests' },
  { words: /\b(known|near) (results?|answers?)\b/, use: 'cached result, local results' },
  { words: /\bwhoever\b/, use: 'the noun: the caller, the client, the process' },
  { words: /\bfor ever\b/, use: 'forever' },
  { words: /\blet go\b/, use: 'released, discarded, forgotten' },
  { words: /\blanes?\b/, use: 'batcher', only: [...API_WITHOUT_WEBHOOKS, 'packages/shared/src/batching/**'] },
  { words: /\bplan(s|ned|ning)?\b/, use: 'normalized input', only: API_WITHOUT_WEBHOOKS },
  { words: /\bfinder\b/, use: 'find-prediction' },
  { identifier: /\b([A-Z]\w*Means|means\.ts)\b/, use: 'XDeps, deps.ts' },
  { identifier: /\b(GoneSignal|STAYS)\b/, use: 'DisconnectSignal, NEVER_DISCONNECTS' },
  { identifier: /\bgoOn\b/, use: 'continueAfterCache' },
  { identifier: /\b(Undecided|goesOn)\b/, use: 'WriteOutcomeUnknown, runsForFollowers' },
];

/** Files whose bytes are part of a checksum or a digest, and the files of this check itself. */
export const UNCHANGEABLE: readonly string[] = [
  'migrations/*.sql',
  'models/*/handler.ts',
  'scripts/language/{findings,retired-names,retired-names.test,tree.test}.ts',
];

interface StoredName {
  name: RegExp;
  in: readonly string[];
}

/** Names that other programs read: members of stored JSON, and a metric. */
const STORED_NAMES: readonly StoredName[] = [
  { name: /\bmillrace_cache_answers_total\b/g, in: ['**'] },
  // `findings.answers` of a model version, in Postgres and in the messages of the engine's child process.
  {
    name: /(?<=[.{,(] ?)answers\b|\banswers(?=\??:)/g,
    in: [
      'packages/shared/src/model-files/*',
      'apps/api/src/models/routes.ts',
      'apps/worker/src/models/*',
      'packages/millrace/src/local/check-models.ts',
      'tests/models/*',
    ],
  },
];

export interface RetiredUse {
  file: string;
  /** From 1; 0 for the name of the file itself. */
  line: number;
  name: string;
  use: string;
}

const matchesAny = (file: string, globs: readonly string[]): boolean =>
  globs.some((glob) => path.matchesGlob(file, glob));

/** Returns each use of a retired name in the path or the text of a file. `file` is relative to the repository. */
export function retiredUses(file: string, source: string): RetiredUse[] {
  if (matchesAny(file, UNCHANGEABLE)) return [];
  const entries = RETIRED_NAMES.filter(({ only }) => only === undefined || matchesAny(file, only));
  const stored = STORED_NAMES.filter((entry) => matchesAny(file, entry.in));
  return [file, ...source.split('\n')].flatMap((text, line) => {
    const raw = stored.reduce((rest, { name }) => rest.replace(name, ' '), text);
    const words = wordsOf(raw);
    return entries.flatMap(({ words: pattern, identifier, use }) => {
      const match = pattern?.exec(words) ?? identifier?.exec(raw);
      return match ? [{ file, line, name: match[0], use }] : [];
    });
  });
}

/** `firstAnswer`, `first_answer`, `first-answer` and `FIRST_ANSWER` become `first answer`. */
function wordsOf(text: string): string {
  return text
    .replace(/([a-z0-9])(?=[A-Z])/g, '$1 ')
    .replace(/[_-]/g, ' ')
    .toLowerCase();
}
