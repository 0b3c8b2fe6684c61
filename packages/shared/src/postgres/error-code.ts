/** Returns the code of an error: a SQLSTATE of Postgres, or a code of Node such as ECONNREFUSED. Undefined without a code. */
export function errorCodeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
