/** Returns the code of an error: a SQLSTATE of Postgres, or a code of Node such as ECONNREFUSED. Undefined without a code. */
export function errorCodeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** Whether Postgres cannot store a value (SQLSTATE class 22). The same statement would fail again. */
export const isDataFault = (error: unknown): error is Error => /^22/.test(errorCodeOf(error) ?? '');
