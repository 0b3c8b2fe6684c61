/**
 * The changes that no test notices, by module, each with the reason that no test can or needs to notice the change. A change that costs
 * time or memory, or that moves a limit that is not exact, is not equivalent: such a change counts as not noticed.
 */

export interface Survivor {
  /** The beginning of the line of the change, without its indentation. */
  line: string;
  /** The change, as the command prints it. Without a change, every change of the line. */
  change?: string;
  reason: string;
  /** Whether the changed program has the same results for every input, and does the same work. */
  isEquivalent?: true;
}

const SAME_SIZE = 'The change decides one byte or character of a limit that is not exact.';
const SAVES_TIME = 'The result is the same. The line saves time.';
const SAME_MOMENT = 'The change decides one millisecond of a limit that is not exact.';

const RESERVES_NOTHING = `${SAVES_TIME} No byte is reserved for outputs of unknown size.`;
const NO_PATTERN = 'The separator has no meaning in a pattern of Lua.';

export const SURVIVORS: Readonly<Record<string, readonly Survivor[]>> = {
  'apps/api/src/cache/local-results.ts': [
    {
      line: 'if (result === null) this.forget',
      reason: 'The entry is too old to be used. Without the call it takes memory until it is replaced.',
    },
    { line: 'const again = before', change: '< → <=', reason: SAME_MOMENT },
    {
      line: 'if (nowMs - usedAt >= TRUST_MS) break;',
      reason: 'The next line skips the entries too. The end of the loop saves time.',
    },
    { line: 'if (usedAt <= readAt', change: '>= → >', reason: SAME_MOMENT },
    { line: 'if (entry?.epoch', change: '>= → >', reason: SAME_MOMENT },
    { line: 'if (result.storedAt', reason: 'A copy of an equal result is equal. The condition saves the copy.' },
    { line: 'const bytesOf', reason: 'The sum bounds the memory, and is no exact number.' },
    {
      line: '...(text ? { text } : {}),',
      reason: 'A text that is undefined is as good as no text.',
      isEquivalent: true,
    },
  ],
  'apps/api/src/predictions/request-fingerprint.ts': [
    {
      line: 'if (text.length < TURN_CHARACTERS',
      change: '< → <=',
      reason: 'One character or piece more in a turn is no difference.',
    },
    { line: 'pieces = 0;', reason: 'A body then takes more turns than needed, and has the same fingerprint.' },
    { line: 'known.sort', change: '< → <=', reason: 'No two members of an object have one name.', isEquivalent: true },
    {
      line: 'if (isShort(value)) yield',
      reason: 'The text is then sent to the hash in two pieces, with the same fingerprint.',
    },
    {
      line: "typeof value === 'string' ?",
      change: '<= → <',
      reason: 'One character more in a piece is no difference.',
    },
  ],
  'apps/api/src/queue/admission.ts': [
    {
      line: 'if (!last || left < last.left',
      change: '<= → <',
      reason: 'A sample of the same moment has returned before.',
      isEquivalent: true,
    },
    {
      line: '} else if (busy || perMs',
      change: '> → >=',
      reason: 'The mean of two equal rates is the rate.',
      isEquivalent: true,
    },
    {
      line: 'this.#perMs = this.#perMs > 0',
      reason: 'The rate is 0 only while nothing was measured, and the getter returns undefined for it.',
      isEquivalent: true,
    },
    {
      line: 'return this.#perMs && this.#perMs > 0',
      reason: 'A rate is never negative, so both conditions exclude 0.',
      isEquivalent: true,
    },
    {
      line: 'if (load.reservedShare > 0',
      change: '> → >=',
      reason: 'The sum of three floating-point shares is not exact.',
    },
    { line: 'const about = needsMs > FAR_MS', change: '> → >=', reason: SAME_MOMENT },
  ],
  'apps/api/src/queue/queue-load.ts': [
    {
      line: '#servers: Server[] = [{',
      change: '[{ ...UNKNOWN_SERVER }] → []',
      reason: 'A server that is not in the list is unknown too.',
      isEquivalent: true,
    },
    {
      line: 'if (known.outputBytes > 0) this.#reserve',
      change: 'known.outputBytes > 0 → true',
      reason: RESERVES_NOTHING,
    },
    { line: 'if (known.outputBytes > 0) this.#reserve', change: '> → >=', reason: RESERVES_NOTHING },
    {
      line: 'known.lastRead = undefined;',
      reason: 'Redis lost the counts of the model. Until the next read the reserved bytes are an estimate.',
    },
  ],
  'apps/worker/src/inference/dispatcher.ts': [
    {
      line: 'if (one.priority <= priority)',
      change: '<= → <',
      reason: 'The item then moves to its own place.',
      isEquivalent: true,
    },
    {
      line: 'while (this.#gathering.size > 0)',
      change: '> → >=',
      reason: 'Without held items no run is next.',
      isEquivalent: true,
    },
    { line: 'if (one.priority === last)', reason: SAVES_TIME },
    { line: 'last = one.priority;', reason: SAVES_TIME },
    { line: 'if (steps === 0)', change: 'steps === 0 → false', reason: `${SAVES_TIME} No step is the same priority.` },
    { line: 'return at < 0', change: '< → <=', reason: 'The most urgent priority does not rise.', isEquivalent: true },
    { line: 'if (this.#runs.size < slots)', change: 'this.#runs.size < slots → false', reason: SAVES_TIME },
    {
      line: 'for (let at = 0; at < held.length',
      change: '< → <=',
      reason: 'No further item fits into a full micro-batch.',
      isEquivalent: true,
    },
    { line: 'if (held.some((one)', reason: `${SAVES_TIME} The call then gathers nothing.` },
    { line: 'if (rows < maxBatch && held', reason: 'The call then gathers nothing.' },
    { line: 'const items = taken.length', reason: SAVES_TIME },
    { line: 'count += 1;', change: '+= → -=', reason: 'The items are then taken one by one.' },
  ],
  'apps/worker/src/webhooks/lane-health.ts': [
    {
      line: 'return this.#pools.get(name) ??',
      change: 'group === undefined → false',
      reason: 'No health has the name undefined.',
      isEquivalent: true,
    },
    {
      line: 'if (group !== undefined) this.#set(group',
      change: 'false → true',
      reason: 'A prompt group that is kept has the health of a group without an entry.',
      isEquivalent: true,
    },
  ],
  'apps/worker/src/webhooks/retry-policy.ts': [
    {
      line: 'const scheduled = RETRY_DELAYS_MS',
      change: '- → +',
      reason: 'The last value is for an attempt behind the last attempt, which has no next attempt.',
      isEquivalent: true,
    },
  ],
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
    { line: 'if (beginning.length >= BEGINNING', reason: SAVES_TIME },
    {
      line: 'if (head === undefined || head.length < HEADER',
      change: '< → <=',
      reason: 'A first piece that is the head alone has no output behind it in the same piece: a writer cuts later.',
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
  'packages/shared/src/live/end.lua': [
    {
      line: 'elseif not one.y then',
      change: 'not one.y → true',
      reason: 'A follower has left the queue, and has no flight.',
      isEquivalent: true,
    },
    { line: 'if one.y then', change: 'one.y → true', reason: 'A prediction without a leader has no leader to find.' },
  ],
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
    { line: 'if ((rows[0]?.length ?? 0) < LONG_ROW)', reason: `${SAVES_TIME} Both ways write the same text.` },
    {
      line: "if (row.includes('\\\\'))",
      change: "row.includes('\\\\') → true",
      reason: `${SAVES_TIME} Both ways write the same text.`,
    },
    {
      line: 'for (let quotes = 0; quotes < QUOTES_MAX',
      reason: 'The function then ends in JSON.stringify, with the same text.',
    },
    { line: 'if (at === -1) return', reason: 'The function then ends in JSON.stringify, with the same text.' },
    { line: 'from = at + 1;', reason: 'The function then ends in JSON.stringify, with the same text.' },
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
  'packages/shared/src/predictions/ids.ts': [
    {
      line: 'if (used === digits.length) {',
      reason: 'All random digits are then new for each id. The pool saves time.',
    },
    { line: 'if (nowMs !== prefixMs) {', reason: SAVES_TIME },
    { line: 'prefixMs = nowMs;', reason: SAVES_TIME },
    { line: 'const SHARD_DIGITS', reason: `${SAVES_TIME} A shard without digits here is formatted for each id.` },
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
    { line: 'const read = readSync', change: '- → +', reason: 'The first read returns the whole file.' },
    {
      line: 'if (read === 0) throw',
      reason: 'A file that was checked before would have to lose bytes during the read.',
    },
  ],
  'packages/shared/src/queue/job.ts': [
    { line: 'if (tasks.length > AHEAD_JOB_MAX', change: '> → >=', reason: SAME_SIZE },
    { line: 'if (text.length > COUNTED_TEXT_MAX', change: '> → >=', reason: SAME_SIZE },
  ],
  'packages/shared/src/predictions/output.ts': [{ line: 'const isLong = rows.reduce', reason: SAME_SIZE }],
};
