/** The changes that no test notices, by module, each with the reason that no test can or needs to notice the change. */

export interface Survivor {
  /** The beginning of the line of the change, without its indentation. */
  line: string;
  /** The change, as the command prints it. Without a change, every change of the line. */
  change?: string;
  reason: string;
}

export const SURVIVORS: Readonly<Record<string, readonly Survivor[]>> = {};
