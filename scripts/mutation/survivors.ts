/** The changes that no test notices, by module, each with the reason that no test can or needs to notice the change. */

export interface Survivor {
  /** The beginning of the line of the change, without its indentation. */
  line: string;
  /** The change, as the command prints it. Without a change, every change of the line. */
  change?: string;
  reason: string;
}

const SAME_MOMENT = 'The change decides one millisecond of a limit that is not exact.';

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
    { line: '...(text ? { text } : {}),', reason: 'A text that is undefined is as good as no text.' },
  ],
  'apps/api/src/predictions/request-fingerprint.ts': [
    {
      line: 'if (text.length < TURN_CHARACTERS',
      change: '< → <=',
      reason: 'One character or piece more in a turn is no difference.',
    },
    { line: 'pieces = 0;', reason: 'A body then takes more turns than needed, and has the same fingerprint.' },
    { line: 'known.sort', change: '< → <=', reason: 'No two members of an object have one name.' },
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
    },
    { line: '} else if (busy || perMs', change: '> → >=', reason: 'The mean of two equal rates is the rate.' },
    {
      line: 'this.#perMs = this.#perMs > 0',
      reason: 'The rate is 0 only while nothing was measured, and the getter returns undefined for it.',
    },
    {
      line: 'return this.#perMs && this.#perMs > 0',
      reason: 'A rate is never negative, so both conditions exclude 0.',
    },
    {
      line: 'if (load.reservedShare > 0',
      change: '> → >=',
      reason: 'The sum of three floating-point shares is not exact.',
    },
    { line: 'const about = needsMs > FAR_MS', change: '> → >=', reason: SAME_MOMENT },
  ],
};
