/** The statement that lists the predictions of a tenant, with its filters. */
import type { Db } from '../postgres/db.ts';
import { STATUSES, type Status } from '../predictions/prediction.ts';
import { LISTED_COLUMNS, type ListedRow } from './ledger-rows.ts';

export interface ListOptions {
  model?: string | undefined;
  version?: string | undefined;
  /** Only the predictions with these ids. */
  ids?: readonly string[] | undefined;
  /** Only predictions with one of these statuses. Open predictions are `queued` in the ledger. */
  statuses?: readonly Status[] | undefined;
  /** Only predictions whose ids are between these ids, which are not included. */
  after?: string | undefined;
  before?: string | undefined;
  /** Only predictions whose metadata has these values. */
  metadata?: Readonly<Record<string, string>> | undefined;
  /** Only predictions that ended with this error code. */
  error?: string | undefined;
  /** Default: `desc`, newest first. */
  order?: 'asc' | 'desc' | undefined;
  limit: number;
}

export interface Scanned {
  rows: ListedRow[];
  /**
   * The last id that the search reached, if the search did not reach the end of the list. A search by values without an index reads
   * at most SCAN_ROWS rows, so a search for rare values takes several calls.
   */
  reached: string | null;
}

const FIRST_ID = '00000000-0000-0000-0000-000000000000';
const LAST_ID = 'ffffffff-ffff-ffff-ffff-ffffffffffff';
/** The most rows that one search by metadata, error or version reads: few enough for the statement timeout of one second. */
export const SCAN_ROWS = 2_000;
const UNSUCCESSFUL: readonly Status[] = ['failed', 'canceled', 'expired'];

/** Lists the predictions of a tenant by the time of their creation, without their tasks and outputs, which may be large. */
export async function listPredictions(db: Db, tenant: string, options: ListOptions): Promise<Scanned> {
  const { limit, order = 'desc', metadata = {}, error, version } = options;
  if (Object.keys(metadata).length === 0 && error === undefined && version === undefined)
    return { rows: await page(db, tenant, options), reached: null };
  const searched = error === undefined ? options : { ...options, statuses: unsuccessful(options.statuses) };
  const bound = await scanBound(db, tenant, searched);
  const inScan = order === 'asc' ? { before: bound ?? options.before } : { after: bound ?? options.after };
  const rows = await page(db, tenant, { ...searched, ...inScan });
  return { rows, reached: rows.length < limit && bound !== undefined ? bound : null };
}

const unsuccessful = (statuses: readonly Status[] = UNSUCCESSFUL): readonly Status[] =>
  statuses.filter((status) => UNSUCCESSFUL.includes(status));

/** Parameters of a statement, and its text. */
class Statement {
  readonly values: unknown[] = [];

  /** Returns the placeholder of a value. */
  add(value: unknown): string {
    this.values.push(value);
    return `$${this.values.length}`;
  }
}

async function page(db: Db, tenant: string, options: ListOptions): Promise<ListedRow[]> {
  const statement = new Statement();
  const select = { columns: LISTED_COLUMNS, where: valueConditions(statement, options), limit: String(options.limit) };
  const { rows } = await db.query<ListedRow>(listSql(statement, { ...select, tenant, options }), statement.values);
  return rows;
}

/** Returns the id of the SCAN_ROWS-th row in the order of the list; undefined for a shorter list. */
async function scanBound(db: Db, tenant: string, options: ListOptions): Promise<string | undefined> {
  const statement = new Statement();
  const sql = listSql(statement, { columns: 'id', where: '', limit: String(SCAN_ROWS), tenant, options });
  const { rows } = await db.query<{ id: string }>(
    `SELECT id FROM (${sql}) scanned OFFSET ${SCAN_ROWS - 1} LIMIT 1`,
    statement.values,
  );
  return rows[0]?.id;
}

function valueConditions(statement: Statement, { metadata = {}, error, version }: ListOptions): string {
  // Metadata is the text of JSON.stringify of a flat map, and a quote inside a text has a backslash before itself. So the text
  // contains this member exactly where the map has the member.
  const members = Object.entries(metadata).map(
    ([key, value]) => `AND strpos(metadata, ${statement.add(JSON.stringify({ [key]: value }).slice(1, -1))}) > 0`,
  );
  const ofError =
    error === undefined ? '' : `AND substring(result FROM '"code":"([a-z_]+)"') = ${statement.add(error)}`;
  const ofVersion = version === undefined ? '' : `AND version = ${statement.add(version)}`;
  return [...members, ofError, ofVersion].join(' ');
}

interface ListSql {
  columns: string;
  where: string;
  limit: string;
  tenant: string;
  options: ListOptions;
}

function listSql(statement: Statement, { columns, where, limit, tenant, options }: ListSql): string {
  const { model, ids, statuses, after = FIRST_ID, before = LAST_ID, order = 'desc' } = options;
  const unknown = statuses?.find((status) => !STATUSES.includes(status));
  if (unknown !== undefined) throw new RangeError(`'${unknown}' is not a status.`);
  // The statuses are part of the text, because Postgres uses the partial indexes only for constants of the statement.
  const ofStatus =
    statuses === undefined ? '' : `AND status IN (${statuses.map((one) => `'${one}'`).join(', ') || 'NULL'})`;
  const owner = statement.add(tenant);
  const ofIds = ids === undefined ? '' : `AND id = ANY (${statement.add(ids)}::uuid[])`;
  const range = `id > ${statement.add(after)} AND id < ${statement.add(before)} ${ofIds}`;
  const sorted = (table: string) => `ORDER BY ${table}.id ${order} LIMIT ${limit}`;
  const rows = (ofModel: string) => `
    SELECT ${columns} FROM predictions
     WHERE tenant = ${owner} AND ${range} ${ofModel} ${ofStatus} ${where} ${sorted('predictions')}`;
  if (model !== undefined) return rows(`AND model = ${statement.add(model)}`);
  if (statuses?.every((status) => UNSUCCESSFUL.includes(status)) || statuses?.every((status) => status === 'queued'))
    return rows('');
  // Reads a page of each model through the index by model. An additional index would slow down every written row.
  return `
    SELECT page.* FROM models m CROSS JOIN LATERAL (${rows('AND model = m.model')}) page
     WHERE m.tenant = ${owner} OR (m.tenant = 'default' AND NOT EXISTS
           (SELECT FROM models own WHERE own.tenant = ${owner} AND own.model = m.model))
     ${sorted('page')}`;
}
