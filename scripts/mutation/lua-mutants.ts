/** The changes of a Lua script: operators, conditions, literals, and calls of Redis. */
import type { Mutant } from './mutant.ts';

/** Comments and texts are passed over; then names, numbers and operators. */
const TOKEN =
  /--\[\[[\s\S]*?\]\]|--[^\n]*|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|[A-Za-z_]\w*|\d+(?:\.\d+)?|\.\.\.?|[=~<>]=|[^\s\w]/g;

const OPERATORS: Readonly<Record<string, readonly string[]>> = {
  '==': ['~='],
  '~=': ['=='],
  '<': ['<=', '>='],
  '<=': ['<', '>'],
  '>': ['>=', '<='],
  '>=': ['>', '<'],
  '+': ['-'],
  '*': ['/'],
  and: ['or'],
  or: ['and'],
  true: ['false'],
  false: ['true'],
};

/** Returns the changes in the order of the text. */
export function mutantsOfLua(source: string): Mutant[] {
  const tokens = [...source.matchAll(TOKEN)]
    .map((match) => ({ text: match[0], start: match.index, end: match.index + match[0].length }))
    .filter(({ text }) => !text.startsWith('--'));
  const mutants: Mutant[] = [];
  for (const [at, { text, start, end }] of tokens.entries()) {
    const next = tokens[at + 1];
    for (const replacement of OPERATORS[text] ?? []) mutants.push({ start, end, replacement });
    if (text === 'not') mutants.push({ start, end: next?.start ?? end, replacement: '' });
    if (text === '-' && isValue(tokens[at - 1]?.text)) mutants.push({ start, end, replacement: '+' });
    if (text === 'if' || text === 'elseif') {
      const then = tokens.slice(at + 1).find((token) => token.text === 'then');
      if (!next || !then) continue;
      const condition = { start: next.start, end: source.slice(0, then.start).trimEnd().length };
      mutants.push({ ...condition, replacement: 'true' }, { ...condition, replacement: 'false' });
    }
    if (startsCall(tokens, at)) mutants.push({ start, end: endOfCall(tokens, at), replacement: 'do end' });
  }
  return mutants.sort((a, b) => a.start - b.start || a.end - b.end);
}

interface Token {
  text: string;
  start: number;
  end: number;
}

/** Whether a `-` behind this token subtracts. */
const isValue = (text = ''): boolean => /^\w+$|^[)\]]$/.test(text) && !KEYWORDS.has(text);

/** Whether a statement starts here that only calls a function: its reply is not used. */
function startsCall(tokens: readonly Token[], at: number): boolean {
  const before = tokens[at - 1]?.text ?? '';
  if (
    !/^(then|do|else|end|\)|repeat)$|^\w+$|^['"}\]]/.test(before) ||
    /^(return|and|or|not|local|function|if|elseif|while|until|in|for)$/.test(before)
  )
    return false;
  let open = at + 1;
  while (tokens[open]?.text === '.') open += 2;
  return (
    /^[a-z_]\w*$/.test(tokens[at]?.text ?? '') && !KEYWORDS.has(tokens[at]?.text ?? '') && tokens[open]?.text === '('
  );
}

const KEYWORDS = new Set([
  'if',
  'elseif',
  'while',
  'for',
  'return',
  'and',
  'or',
  'not',
  'function',
  'local',
  'until',
  'in',
]);

function endOfCall(tokens: readonly Token[], at: number): number {
  let depth = 0;
  for (const { text, end } of tokens.slice(at)) {
    if (text === '(') depth += 1;
    if (text === ')') {
      depth -= 1;
      if (depth === 0) return end;
    }
  }
  throw new Error('The script has a call without an end.');
}
