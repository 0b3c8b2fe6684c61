/** The unnoticed changes of the scripts of the live states. */
import { SAVES_TIME, type Survivors } from './survivor.ts';

const NO_PATTERN = 'The separator has no meaning in a pattern of Lua.';

export const LIVE: Survivors = {
  'packages/shared/src/live/adopt.lua': [
    {
      line: 'local undone = own <',
      change: '< → <=',
      reason: 'The time of the end decides too: an equal opening has no earlier end.',
      isEquivalent: true,
    },
    { line: 'if one.cut then', change: 'one.cut → true', reason: `${SAVES_TIME} The state is then read again.` },
    { line: 'if one.g then', change: 'one.g → true', reason: 'A leader without followers has an empty set.' },
    {
      line: "if own ~= '' and own < p",
      change: '< → <=',
      reason: 'An equal priority is the same priority.',
      isEquivalent: true,
    },
  ],
  'packages/shared/src/live/end.lua': [
    {
      line: 'elseif not one.y then',
      change: 'not one.y → true',
      reason: 'A follower has left the queue, and has no flight.',
      isEquivalent: true,
    },
    { line: 'if one.y then', change: 'one.y → true', reason: 'A prediction without a leader has no leader to find.' },
  ],
  'packages/shared/src/live/finish.lua': [
    {
      line: "local holders = redis.call('MGET'",
      change: '- → +',
      reason: `${SAVES_TIME} Two flights are then read twice.`,
    },
  ],
  'packages/shared/src/live/lib.lua': [
    { line: 'local at = find(v, SEP', change: 'true → false', reason: NO_PATTERN, isEquivalent: true },
    {
      line: 'return z and HEAD',
      change: '< → <=',
      reason: 'The two fields behind the ten fields are shorter than 63 bytes.',
      isEquivalent: true,
    },
    {
      line: "fields[13], from, cut = ''",
      change: '+ → -',
      reason: 'No script reads the task of a success.',
      isEquivalent: true,
    },
    {
      line: 'if not find(v.err,',
      reason: 'GETRANGE of a script fails only for a key of another type.',
      isEquivalent: true,
    },
    {
      line: 'while from <= #list do',
      change: '<= → <',
      reason: 'A list has two elements for each end.',
      isEquivalent: true,
    },
  ],
  'packages/shared/src/live/place.lua': [
    {
      line: "if head == '' then",
      change: "head == '' → false",
      reason: 'An absent key has an empty text too.',
      isEquivalent: true,
    },
    {
      line: "redis.call('PEXPIRE', key, report_end",
      change: 'false → true',
      reason: 'The entry has no text, and the only lifetime is that of an unrecorded end.',
      isEquivalent: true,
    },
    {
      line: "if leader ~= '' then",
      change: "leader ~= '' → true",
      reason: 'No prediction is in the set of followers of no leader.',
    },
  ],
  'packages/shared/src/live/shorten.lua': [
    {
      line: 'local head = redis.pcall',
      change: '- → +',
      reason: 'The script reads only positions of the head.',
      isEquivalent: true,
    },
  ],
  'packages/shared/src/live/take.lua': [
    { line: 'local created = v and find', change: 'true → false', reason: NO_PATTERN, isEquivalent: true },
    {
      line: 'local created = v and find',
      change: '+ → -',
      reason: 'The two bytes before are digits of the head.',
      isEquivalent: true,
    },
    { line: 'local from = find(v, SEP', change: 'true → false', reason: NO_PATTERN, isEquivalent: true },
    { line: 'count_left(sub(v, from', change: 'true → false', reason: NO_PATTERN, isEquivalent: true },
    {
      line: 'and a and b and a - b < most',
      change: '< → <=',
      reason: 'A waiting prediction has no lost attempt, and a worker allows at least one attempt.',
      isEquivalent: true,
    },
  ],
};
