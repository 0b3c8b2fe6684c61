/** The report about an example of model.json: the output of each stage of the version. */

export type ExampleStage = 'input' | 'canonicalize' | 'encode' | 'model' | 'decode';

/** The outputs of the stages of one example, up to the first failure. */
export interface ExampleReport {
  /** A line for each stage that succeeded. */
  lines: readonly string[];
  /** The first stage that failed; null if none did. `place` is the line of the handler. */
  failure: { stage: ExampleStage | null; place: string | null; message: string; pointer?: string } | null;
}
