/** The form of an error in the log. */

/** The most causes of an error that are logged. */
const MAX_CAUSES = 5;
const MAX_PARTS = 5;
/** The fields that help an operator, and that never contain a value of a client, a password or a URL. */
const FIELDS = ['code', 'syscall', 'address', 'port', 'severity', 'schema', 'table', 'column', 'constraint'] as const;

interface LoggedError {
  type: string;
  message: string;
  stack: string | undefined;
  command?: string;
  cause?: unknown;
  errors?: unknown[];
  [field: string]: unknown;
}

/**
 * Returns the known fields of an error, because libraries add fields with secrets. ioredis adds the arguments of the command (AUTH
 * has the password). Node adds the text of a URL that cannot be parsed. pg adds the client, and Postgres adds the values of the row.
 */
export function loggedError(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return typeof error === 'object' && error !== null ? String(error) : error;
  const out: LoggedError = { type: error.name, message: error.message, stack: error.stack };
  const given: Record<string, unknown> = { ...error };
  for (const name of FIELDS)
    if (typeof given[name] === 'string' || typeof given[name] === 'number') out[name] = given[name];
  const { command } = given;
  if (typeof command === 'object' && command !== null && 'name' in command) out.command = String(command.name);
  if (depth >= MAX_CAUSES) return out;
  if (error.cause !== undefined) out.cause = loggedError(error.cause, depth + 1);
  if (error instanceof AggregateError)
    out.errors = error.errors.slice(0, MAX_PARTS).map((part) => loggedError(part, depth + 1));
  return out;
}
