/** The in-memory index of a model version's entities, for the look-ups of its handler. */

import { fold } from '../text/fold.ts';
import { editDistance } from '../text/near-names.ts';
import type { Entities, Entity } from './entity.ts';

interface Term {
  folded: string;
  trigrams: readonly string[];
  row: number;
}

interface EntityIndex {
  rows: readonly Entity[];
  byKey: ReadonlyMap<string, Entity>;
  byTerm: ReadonlyMap<string, Entity>;
  /** Rows by the spellings that were found before: folding a name costs more than the rest of a look-up. */
  spelt: Map<string, Entity>;
  terms: readonly Term[];
  /** Trigram → indexes of the terms that contain the trigram. */
  byTrigram: ReadonlyMap<string, readonly number[]>;
}

const NEAR = 5;
// Longer than any name, and short enough that no request can block the event loop.
const LONGEST = 100;
const CANDIDATES = 64;
/** The largest number of index entries that a search for near names reads. */
const PLACES_MAX = 50_000;
/** Longer names are not looked up: the Unicode normalization of a very long name takes milliseconds. */
const FOUND_MAX = 1_000;
const SPELT_MAX = 4_096;

/** Creates look-ups over the rows of each entity. The first look-up of an entity builds its index. */
export function buildEntities(sets: Readonly<Record<string, readonly Entity[]>>): Entities {
  const built = new Map<string, EntityIndex>();
  function indexOf(entity: string): EntityIndex | undefined {
    const known = built.get(entity);
    if (known || !Object.hasOwn(sets, entity)) return known;
    const index = buildIndex(sets[entity]!);
    built.set(entity, index);
    return index;
  }
  return {
    find(entity, nameOrAlias) {
      const index = indexOf(entity);
      if (!index) return undefined;
      const known = index.spelt.get(nameOrAlias);
      if (known) return known;
      if (nameOrAlias.length > FOUND_MAX) return undefined;
      const found = index.byTerm.get(fold(nameOrAlias));
      if (found && nameOrAlias.length <= LONGEST) {
        if (index.spelt.size >= SPELT_MAX) index.spelt.clear();
        index.spelt.set(nameOrAlias, found);
      }
      return found;
    },
    get: (entity, key) => indexOf(entity)?.byKey.get(key),
    near(entity, name, limit = NEAR) {
      const index = indexOf(entity);
      return index ? nearest(index, fold(name.slice(0, LONGEST)), limit) : [];
    },
    all: (entity) => indexOf(entity)?.rows ?? [],
  };
}

function buildIndex(rows: readonly Entity[]): EntityIndex {
  const byTerm = new Map<string, Entity>();
  const terms: Term[] = [];
  const byTrigram = new Map<string, number[]>();
  // When rows share a term, a key wins over a name, a name over an alias, and an earlier row over a later row.
  for (const row of rows) setFirst(byTerm, fold(row.key), row);
  for (const row of rows) setFirst(byTerm, fold(row.name), row);
  for (const row of rows) for (const alias of row.aliases) setFirst(byTerm, fold(alias), row);
  rows.forEach((row, at) => {
    for (const folded of new Set([row.name, ...row.aliases].map(fold))) {
      const trigrams = trigramsOf(folded);
      for (const trigram of trigrams) {
        const termIndexes = byTrigram.get(trigram);
        if (termIndexes) termIndexes.push(terms.length);
        else byTrigram.set(trigram, [terms.length]);
      }
      terms.push({ folded, trigrams, row: at });
    }
  });
  return { rows, byKey: new Map(rows.map((row) => [row.key, row])), byTerm, spelt: new Map(), terms, byTrigram };
}

function setFirst(map: Map<string, Entity>, term: string, row: Entity): void {
  if (!map.has(term)) map.set(term, row);
}

/** Padding gives the beginning of a name more weight, and gives short names trigrams. */
function trigramsOf(folded: string): string[] {
  const padded = `  ${folded} `;
  const trigrams = new Set<string>();
  for (let at = 0; at + 3 <= padded.length; at++) trigrams.add(padded.slice(at, at + 3));
  return [...trigrams];
}

/** Trigrams select candidates from all terms. The edit distance orders the candidates, and equal distances are sorted by name. */
function nearest({ rows, terms, byTrigram }: EntityIndex, wanted: string, limit: number): string[] {
  const wantedTrigrams = trigramsOf(wanted);
  const shared = new Map<number, number>();
  // Rare trigrams first: rare trigrams separate names best, and the limit then skips only common trigrams.
  const places = wantedTrigrams.map((trigram) => byTrigram.get(trigram) ?? []).sort((a, b) => a.length - b.length);
  let looked = 0;
  for (const terms of places) {
    looked += terms.length;
    if (looked > PLACES_MAX) break;
    for (const at of terms) shared.set(at, (shared.get(at) ?? 0) + 1);
  }
  const similarity = (at: number, count: number) =>
    count / (wantedTrigrams.length + terms[at]!.trigrams.length - count);
  const candidates = [...shared]
    .map(([at, count]) => ({ at, similarity: similarity(at, count) }))
    .sort((a, b) => b.similarity - a.similarity || a.at - b.at)
    .slice(0, CANDIDATES);
  const best = new Map<number, number>();
  for (const { at } of candidates) {
    const { folded, row } = terms[at]!;
    const distance = distanceTo(wanted, folded);
    if (distance < (best.get(row) ?? Number.POSITIVE_INFINITY)) best.set(row, distance);
  }
  return [...best]
    .filter(([, distance]) => distance < Number.POSITIVE_INFINITY)
    .map(([row, distance]) => ({ name: rows[row]!.name, distance }))
    .sort((a, b) => a.distance - b.distance || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
    .slice(0, limit)
    .map(({ name }) => name);
}

/** Edits as a share of the longer text. Infinite when the texts are too different for a suggestion. */
function distanceTo(wanted: string, term: string): number {
  // A partially typed name is nearer than any other name of that length.
  if (wanted.length > 2 && term.startsWith(wanted)) return 0.01;
  const length = Math.max(wanted.length, term.length);
  const most = Math.max(1, Math.floor(length * 0.4));
  const edits = editDistance(wanted, term, most);
  return edits > most ? Number.POSITIVE_INFINITY : edits / length;
}
