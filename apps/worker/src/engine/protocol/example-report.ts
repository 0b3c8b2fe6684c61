/** What the stages of a version make of an example of model.json. */

export type ExampleStage = 'input' | 'canonicalize' | 'encode' | 'model' | 'decode';

/** What each stage made of an example. */
export interface ExampleReport {
  /** A line for each stage that succeeded. */
  lines: readonly string[];
  /** The first stage that failed; null if none did. `place` is the line of the handler. */
  failure: { stage: ExampleStage | null; place: string | null; message: string; pointer?: string } | null;
}
