/** The errors of a request to an engine. */
import type { HandlerFault } from '@millrace/shared/model-files/handler-fault';
import type { InputFault } from '@millrace/shared/tensors/input-error';

/**
 * Why an engine did not respond with outputs. `lost`: the engine ended for a reason outside the request. `input`: an input is at fault, such
 * as a damaged image.
 */
export type EngineErrorKind = 'failed' | 'input' | 'timeout' | 'died' | 'lost';

/**
 * Why an engine ended. `exit` and `signal`: by itself, or by a signal from outside, for example when the kernel has no memory.
 * `frozen`: a signal had stopped the engine. `recycled` and `idle`: the worker replaced or released the engine.
 */
export type EngineEnd =
  | 'exit'
  | 'signal'
  | 'timeout'
  | 'memory'
  | 'frozen'
  | 'protocol'
  | 'aborted'
  | 'stopped'
  | 'recycled'
  | 'idle';

export class EngineError extends Error {
  override name = 'EngineError';
  readonly kind: EngineErrorKind;
  /** Where the handler of the version failed. Undefined for any other error. */
  fault: HandlerFault | undefined;
  /** The place and the reason. Undefined for any other kind than `input`. */
  input: InputFault | undefined;
  constructor(kind: EngineErrorKind, detail: string, cause?: unknown) {
    super(detail, { cause });
    this.kind = kind;
  }
}

/** An engine could not be started. The request is not at fault. */
export class EngineStartError extends EngineError {
  override name = 'EngineStartError';
}
