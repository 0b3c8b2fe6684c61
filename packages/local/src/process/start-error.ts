/** A reason not to start that the person at the terminal can mend: one or a few sentences, shown without a stack. */
export class StartError extends Error {
  override name = 'StartError';
}
