/** How asking an engine can fail. */

/** Why an engine did not answer. `lost`: it ended, and something else was to blame. */
export type EngineErrorKind = 'failed' | 'timeout' | 'died' | 'lost';

export class EngineError extends Error {
  override name = 'EngineError';
  readonly kind: EngineErrorKind;
  constructor(kind: EngineErrorKind, detail: string, cause?: unknown) {
    super(detail, { cause });
    this.kind = kind;
  }
}

/** No fault of what was to be run. */
export class EngineStartError extends EngineError {
  override name = 'EngineStartError';
}
