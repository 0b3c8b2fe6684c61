/** The unnoticed changes of packages/shared, except the live scripts. */
import { SAME_SIZE, SAVES_TIME, type Survivors } from './survivor.ts';

export const SHARED: Survivors = {
  'packages/shared/src/batching/batcher.ts': [
    {
      line: 'this.#failsAll = options.failsAll',
      change: 'false → (undefined as never)',
      reason: 'Both are no.',
      isEquivalent: true,
    },
  ],
  'packages/shared/src/cache/cache-key.ts': [
    { line: 'if (Buffer.isBuffer(row) && row.length <= COPIED', reason: `${SAVES_TIME} Both hashes are equal.` },
  ],
  'packages/shared/src/cache/result-value.ts': [
    { line: "if (typeof content !== 'string' && content.length > PIECE", change: '> → >=', reason: SAME_SIZE },
    { line: 'head.write(cacheKey, KEY', change: '- → +', reason: 'A key fills its place.', isEquivalent: true },
    { line: 'if (beginning.length >= BEGINNING', reason: SAVES_TIME },
    {
      line: 'if (head === undefined || head.length < HEADER',
      change: '< → <=',
      reason: 'A first piece that is the head alone has no output behind it in the same piece: a writer cuts later.',
    },
  ],
  'packages/shared/src/predictions/ids.ts': [
    {
      line: 'if (used === digits.length) {',
      reason: 'All random digits are then new for each id. The pool saves time.',
    },
    { line: 'if (nowMs !== prefixMs) {', reason: SAVES_TIME },
    { line: 'prefixMs = nowMs;', reason: SAVES_TIME },
    { line: 'const SHARD_DIGITS', reason: `${SAVES_TIME} A shard without digits here is formatted for each id.` },
  ],
  'packages/shared/src/predictions/output.ts': [{ line: 'const isLong = rows.reduce', reason: SAME_SIZE }],
  'packages/shared/src/predictions/public-ids.ts': [
    {
      line: 'if (last.uuid !== uuid',
      change: 'last.uuid !== uuid || last.prefix !== prefix → true',
      reason: SAVES_TIME,
    },
    { line: 'last.prefix = prefix;', reason: `${SAVES_TIME} The id is then made again for each use.` },
    { line: 'last.uuid = uuid;', reason: `${SAVES_TIME} The id is then made again for each use.` },
  ],
  'packages/shared/src/predictions/slots.ts': [
    {
      line: 'if (user === undefined)',
      reason: 'No folder belongs to the user undefined, so the last condition fails.',
      isEquivalent: true,
    },
    {
      line: '} catch {',
      reason: 'The function then ends without a value, which is undefined too.',
      isEquivalent: true,
    },
    {
      line: 'try {',
      reason: 'The file exists since the first process of this machine, and other processes need the file.',
    },
    {
      line: 'writeFileSync(file, randomUUID()',
      reason: 'The file exists since the first process of this machine, and other processes need the file.',
    },
    {
      line: 'return /^[0-9a-f-]{36}$/',
      reason: 'Other processes of this machine need the file with its right content.',
    },
    { line: 'const read = readSync', reason: 'The first read returns the whole file.' },
    {
      line: 'if (read === 0) throw',
      reason: 'A file that was checked before would have to lose bytes during the read.',
    },
  ],
  'packages/shared/src/predictions/task.ts': [
    {
      line: 'if (task === undefined) return undefined;',
      reason: 'The next line fails then, with the same result.',
      isEquivalent: true,
    },
    {
      line: '} catch {',
      reason: 'The function then ends without a value, which is undefined too.',
      isEquivalent: true,
    },
    { line: "if (typeof first === 'string' && first.length < LONG_ROW", change: '< → <=', reason: SAME_SIZE },
    { line: 'if ((rows[0]?.length ?? 0) < LONG_ROW)', change: '< → <=', reason: SAME_SIZE },
  ],
  'packages/shared/src/queue/job.ts': [
    { line: 'if (tasks.length > AHEAD_JOB_MAX', change: '> → >=', reason: SAME_SIZE },
    { line: 'if (text.length > COUNTED_TEXT_MAX', change: '> → >=', reason: SAME_SIZE },
  ],
  'packages/shared/src/tensors/tensor-bytes.ts': [
    { line: 'if (end < at) row.fill', change: '< → <=', reason: 'The call then fills no byte.' },
  ],
  'packages/shared/src/text/near-names.ts': [
    {
      line: 'const swapped = i > 1',
      change: '> → >=',
      reason: 'Before the first letter there is no letter to swap.',
      isEquivalent: true,
    },
    { line: 'if (cost < least)', change: '< → <=', reason: 'Both costs are equal.', isEquivalent: true },
    {
      line: 'if (Math.abs(a.length',
      change: 'Math.abs(a.length - b.length) > limit → false',
      reason: `${SAVES_TIME} Each letter of the difference is an edit.`,
    },
    { line: 'if (least > limit)', change: 'least > limit → false', reason: SAVES_TIME },
    { line: 'const limit = Math.max', change: 'floor → ceil', reason: 'The limit of similarity is a choice.' },
    { line: 'if (Math.abs(candidate.length', change: '<= → <', reason: SAME_SIZE },
    { line: 'if (comparisons > COMPARISONS', change: '> → >=', reason: SAME_SIZE },
    {
      line: 'if (distance <= limit) found',
      change: 'push → unshift',
      reason: 'The list is sorted afterwards.',
      isEquivalent: true,
    },
    { line: 'found.sort', change: '< → <=', reason: 'No two known names are equal.', isEquivalent: true },
  ],
  'packages/shared/src/webhooks/event.ts': [
    {
      line: 'id: event.prediction === null',
      change: 'event.prediction === null → false',
      reason: 'Only the event of an endpoint has no prediction, and its data come from its payload.',
    },
  ],
  'packages/shared/src/webhooks/target.ts': [
    { line: 'if (text.length > MAX_LENGTH)', change: '> → >=', reason: SAME_SIZE },
    {
      line: 'const written = AUTHORITY',
      change: '?. → .',
      reason: 'The group of a match is never absent.',
      isEquivalent: true,
    },
    {
      line: 'if (written === undefined)',
      change: 'written === undefined → false',
      reason: 'No host is undefined.',
      isEquivalent: true,
    },
    { line: 'const addresses = await', reason: 'The change has the same meaning.', isEquivalent: true },
  ],
  'packages/shared/src/webhooks/timers.ts': [
    { line: 'skipVersionCheck: true', reason: 'BullMQ then reads the version of Redis first, and works as well.' },
    { line: "queue.on('error', onError)", reason: 'A failed command reports the failure of its connection too.' },
    { line: 'if (jobs.length === 0)', change: 'jobs.length === 0 → false', reason: SAVES_TIME },
  ],
};
