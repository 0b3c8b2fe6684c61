/** A reason not to start that the user can fix: one or a few sentences, shown without a stack. */
export class StartError extends Error {
  override name = 'StartError';
}
