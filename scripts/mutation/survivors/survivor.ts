/** A change that no test notices, and the reasons that many such changes have. */

export interface Survivor {
  /** The beginning of the line of the change, without its indentation. */
  line: string;
  /** The change in the words of the command. Without a change, the reason is for every change of the line. */
  change?: string;
  reason: string;
  /** Whether the changed program has the same results for every input, and does the same work. */
  isEquivalent?: true;
}

export type Survivors = Readonly<Record<string, readonly Survivor[]>>;

export const SAME_SIZE = 'The change decides one byte or character of a limit that is not exact.';
export const SAVES_TIME = 'The result is the same. The line saves time.';
export const SAME_MOMENT = 'The change decides one millisecond of a limit that is not exact.';
