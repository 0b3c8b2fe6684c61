/** The unnoticed changes of the API and the worker. */
import { SAME_MOMENT, SAVES_TIME, type Survivors } from './survivor.ts';

const RESERVES_NOTHING = `${SAVES_TIME} No byte is reserved for outputs of unknown size.`;

export const APPS: Survivors = {
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
    {
      line: 'if (result.storedAt',
      change: 'result.storedAt !== storedAt || result.freshUntil !== freshU… → true',
      reason: 'A copy of an equal result is equal. The condition saves the copy.',
    },
    { line: 'const bytesOf', reason: 'The sum bounds the memory, and is no exact number.' },
    {
      line: '...(text ? { text } : {}),',
      reason: 'A text that is undefined is as good as no text.',
      isEquivalent: true,
    },
  ],
  'apps/api/src/http/cursor.ts': [
    {
      line: '} catch {',
      reason: 'The function then ends without a value, which is undefined too.',
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
  'apps/worker/src/inference/lifts.ts': [{ line: 'if (this.#kept.size === 0)', reason: SAVES_TIME }],
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
};
