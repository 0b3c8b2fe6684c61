/** The input is well-formed JSON of the right schema and still cannot be answered; the caller gets a 422 that says why. */
export class InputError extends Error {
  override name = 'InputError';
  /** JSON pointer into the input, such as `/drug_a`. */
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
