/**
 * Finds the sentences that a reader has to read twice: a sentence with a referent whose noun stands elsewhere (`it`, `that`,
 * `one`, `what`, `who`), and a sentence of more than 35 words.
 */

export interface Finding {
  /** The vague word, or `long`. */
  kind: string;
  sentence: string;
}

export interface Findings {
  found: Finding[];
  words: number;
}

const MAX_WORDS = 35;

const list = (words: string): string[] => words.split(' ');
const VERBS = list(
  'is are was were be been has have had does do did can could may might must shall should will would means makes gives says ' +
    'goes comes happens holds works needs takes keeps lets allows causes returns sends includes applies requires becomes runs ' +
    'fails costs ends stays stands',
);
const PREPOSITIONS = new Set(
  list('of for with than by from on at after before like about to into without under over beyond'),
);
const PARTICLES = list(
  'in as between through within until since during and or but nor if when where while because so then that which who whose ' +
    'not never always only also too again already once alone here there now still it we you he she the a an this these those ' +
    'each every any no some its their our all both',
);
const verbs = new Set(VERBS);
/** A word after which no noun of a referent can follow: `this is`, `one that`. */
const closed = new Set([...VERBS, ...PREPOSITIONS, ...PARTICLES]);
const ALWAYS_VAGUE = new Set(['it', "it's", 'it’s', 'ones', 'what', 'whatever', 'who', 'whom', 'whoever']);
const CLAUSE_STARTS = new Set(['.', ';', ':', 'and', 'but', '(']);

const SENTENCE_END = /\n\s*\n|(?<=[.!?])["')]*\s+(?=["'(]*(?:[A-Z0-9]|[a-z]+\/))/;
const TOKEN = /[A-Za-z0-9][\p{L}\p{N}_'’./-]*[\p{L}\p{N}_]|[\p{L}\p{N}_]|[.,;:!?()—–]/gu;

const isWord = (token: string): boolean => /^[\p{L}\p{N}]/u.test(token);

/** `prose` is the result of `proseOf`. */
export function findingsIn(prose: string): Findings {
  const found: Finding[] = [];
  let words = 0;
  for (const sentence of prose.split(SENTENCE_END)) {
    const tokens = ['.', ...(sentence.toLowerCase().match(TOKEN) ?? []), '.'];
    for (let at = 1; at < tokens.length - 1; at += 1) {
      const [last = '', word = '', next = ''] = tokens.slice(at - 1, at + 2);
      if (isVague(word, last, next)) found.push({ kind: word, sentence: flat(sentence) });
    }
    const count = tokens.filter(isWord).length;
    if (count > MAX_WORDS) found.push({ kind: 'long', sentence: flat(sentence) });
    words += count;
  }
  return { found, words };
}

const flat = (sentence: string): string => sentence.trim().replace(/\s+/g, ' ');

function isVague(word: string, last: string, next: string): boolean {
  const bare = !isWord(next) || closed.has(next);
  if (word === 'this' || word === 'these' || word === 'those') return bare;
  // Not counted: "no one", "one of", "one or more", "one to ten".
  if (word === 'one') return bare && last !== 'no' && !['of', 'or', 'to', 'and'].includes(next);
  if (word === 'that') return isPronounThat(last, next, bare);
  return ALWAYS_VAGUE.has(word);
}

/** Whether `that` is a pronoun, and not a relative pronoun ("a job that fails") or a conjunction ("says that"). */
function isPronounThat(last: string, next: string, bare: boolean): boolean {
  if (last === 'so' || last === 'such') return false;
  const startsClause = CLAUSE_STARTS.has(last) && verbs.has(next);
  const followsPreposition = bare && PREPOSITIONS.has(last);
  const endsClause = !isWord(next) && next !== '(';
  return startsClause || followsPreposition || endsClause;
}
