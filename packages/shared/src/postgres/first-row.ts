/** Returns the row of a statement that always returns a row, such as `INSERT ... RETURNING`. */
export function firstRow<T>(rows: readonly T[]): T {
  const [row] = rows;
  if (row === undefined) throw new Error('Postgres returned no row: expected a row of the statement.');
  return row;
}
