/** The sentence for an operator about a Postgres that cannot be used. The sentence never has a part of the password. */
import { errorCodeOf } from './error-code.ts';

/** A Postgres that cannot be used. The message is a sentence for the operator. */
export class PostgresError extends Error {
  override name = 'PostgresError';
}

/** Shown in place of an address that cannot be separated from its password. */
const HIDDEN = 'the address in DATABASE_URL';

/**
 * Returns the address of a database without user, password and parameters. An `@` behind the host means that the password has a
 * `/`, `?` or `#` that is not encoded: the parser then reads a part of the password as the port or the path, so nothing is shown.
 */
export function placeOf(databaseUrl: string): string {
  const url = URL.canParse(databaseUrl) ? new URL(databaseUrl) : undefined;
  if (!url || hasLateAt(url) || !databaseUrl.includes('://')) return HIDDEN;
  return `${url.protocol}//${url.host}${url.pathname}`;
}

/** Whether an `@` follows the host of the URL. */
const hasLateAt = ({ pathname, search, hash }: URL): boolean => `${pathname}${search}${hash}`.includes('@');

/**
 * Turns an error of the driver into one sentence. When a host name has several addresses and all refuse the connection, the error
 * of Node has a code and no message.
 */
export function postgresError(error: unknown, databaseUrl: string): PostgresError {
  if (error instanceof PostgresError) return error;
  const place = placeOf(databaseUrl);
  const code = errorCodeOf(error);
  // The message of the driver names the host and the port, which can be parts of the password.
  if (place === HIDDEN)
    return new PostgresError(
      `Postgres cannot be used (${code ?? 'the connection failed'}): check DATABASE_URL. Write /, ?, # and @ in a user or password as %2F, %3F, %23 and %40.`,
    );
  const reason = (error instanceof Error && error.message) || code || String(error);
  return new PostgresError(`Postgres at ${place} cannot be used (${reason}): check DATABASE_URL.`, { cause: error });
}
