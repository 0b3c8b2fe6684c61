/** An input that fits the JSON schema and is still invalid. The API returns 422 with this reason. */
export class InputError extends Error {
  override name = 'InputError';
  /** The JSON pointer of the invalid value, such as `/drug_a`. */
  readonly pointer: string;
  readonly expected: string | undefined;
  readonly got: string | undefined;
  readonly suggestions: readonly string[];
  constructor(problem: { pointer: string; message: string; expected?: string; got?: string; suggestions?: string[] }) {
    super(problem.message);
    this.pointer = problem.pointer;
    this.expected = problem.expected;
    this.got = problem.got;
    this.suggestions = problem.suggestions ?? [];
  }
}

/** The place and the reason of an InputError. */
export interface InputFault {
  pointer: string;
  message: string;
  expected?: string;
  got?: string;
  suggestions?: readonly string[];
}

// A handler can have its own copy of the class, so the name decides.
const isInputError = (error: unknown): error is InputError =>
  error instanceof InputError || (error instanceof Error && error.name === 'InputError');

/** The fault of an InputError, with a pointer into the input. Undefined for any other error. */
export function inputFault(error: unknown): InputFault | undefined {
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
