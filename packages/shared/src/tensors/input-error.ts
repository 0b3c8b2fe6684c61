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
