/** Recognizes the InputError of a handler. */
import type { Fault } from '@millrace/shared/errors';
import { InputError } from '@millrace/shared/tensors/input-error';

// A handler can have its own copy of the class, so the name decides.
const isInputError = (error: unknown): error is InputError =>
  error instanceof InputError || (error instanceof Error && error.name === 'InputError');

/** The fault of an InputError, with a pointer into the input. Undefined for any other error. */
export function inputFault(error: unknown): Fault | undefined {
  if (!isInputError(error)) return undefined;
  const { pointer, message, expected, got, suggestions } = error;
  const isGiven = Array.isArray(suggestions) && suggestions.length > 0;
  return {
    pointer: String(pointer),
    message,
    ...(expected ? { expected } : {}),
    ...(got ? { got } : {}),
    ...(isGiven ? { suggestions: suggestions.map(String) } : {}),
  };
}
