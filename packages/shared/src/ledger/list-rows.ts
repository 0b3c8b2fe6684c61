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
const OPEN: readonly Status[] = ['queued', 'running'];

/** Lists the predictions of a tenant by the time of their creation, without their tasks and outputs, which may be large. */
export async function listPredictions(db: Db, tenant: string, options: ListOptions): Promise<Scanned> {
  const { limit, order = 'desc', metadata = {}, error, version } = options;
  if (Object.keys(metadata).length === 0 && error === undefined && version === undefined)
    return { rows: await page(db, tenant, options), reached: null };
  const searched = error === undefined ? options : { ...options, statuses: unsuccessful(options.statuses) };
  const { bound, inModels } = await scan(db, tenant, searched);
  const inScan = bound === undefined ? {} : order === 'asc' ? { before: bound } : { after: bound };
  const rows = await readRows(db, { tenant, options: { ...searched, ...inScan }, inModels });
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

/** Reads a page. Most pages are among the newest rows of all tenants, which are read without a search in each model. */
async function page(db: Db, tenant: string, options: ListOptions): Promise<ListedRow[]> {
  if (hasIndex(options)) return readRows(db, { tenant, options, inModels: false });
  const near = await nearBound(db, options, NEAR_ROWS);
  if (near === undefined) return readRows(db, { tenant, options, inModels: false });
  const rows = await readRows(db, { tenant, options: within(options, near), inModels: false });
  return rows.length === options.limit ? rows : readRows(db, { tenant, options, inModels: true });
}

interface Search {
  tenant: string;
  options: ListOptions;
  /** Searches in each model, through the index by model: fast for a tenant with few of the rows. */
  inModels: boolean;
}

async function readRows(db: Db, { tenant, options, inModels }: Search): Promise<ListedRow[]> {
  const statement = new Statement();
  const where = valueConditions(statement, options);
  const select = { columns: LISTED_COLUMNS, where, limit: String(options.limit) };
  const sql = listSql(statement, { ...select, tenant, options, inModels });
  return (await db.query<ListedRow>(sql, statement.values)).rows;
}

/** The id of the SCAN_ROWS-th row in the order of the list, undefined for a shorter list, and how the rows before this row are read fast. */
async function scan(
  db: Db,
  tenant: string,
  options: ListOptions,
): Promise<{ bound: string | undefined; inModels: boolean }> {
  const read = async (search: Search): Promise<string | undefined> => {
    const statement = new Statement();
    const sql = listSql(statement, { columns: 'id', where: '', limit: String(SCAN_ROWS), ...search });
    const text = `SELECT id FROM (${sql}) scanned OFFSET ${SCAN_ROWS - 1} LIMIT 1`;
    return (await db.query<{ id: string }>(text, statement.values)).rows[0]?.id;
  };
  const plain: Search = { tenant, options, inModels: false };
  const near = hasIndex(options) ? undefined : await nearBound(db, options, SCAN_ROWS * NEAR_SHARE);
  if (near === undefined) return { bound: await read(plain), inModels: false };
  const bound = await read({ ...plain, options: within(options, near) });
  if (bound !== undefined) return { bound, inModels: false };
  return { bound: await read({ ...plain, inModels: true }), inModels: true };
}

/** The newest rows of all tenants that a page reads before the page searches in each model. */
const NEAR_ROWS = 1_000;
/** A tenant with this share of the newest rows, or more, is searched among these rows. */
const NEAR_SHARE = 2;

/** The options for the rows before `bound` in the order of the list. */
const within = (options: ListOptions, bound: string): ListOptions =>
  options.order === 'asc' ? { ...options, before: bound } : { ...options, after: bound };

/** Whether an index has exactly the rows of the list, apart from values in the rows. */
const hasIndex = ({ model, ids, statuses }: ListOptions): boolean =>
  model !== undefined ||
  ids !== undefined ||
  (statuses?.every((status) => UNSUCCESSFUL.includes(status)) ?? false) ||
  (statuses?.every((status) => OPEN.includes(status)) ?? false);

/** Returns the id of a row of any tenant: `count` rows lie between the beginning of the list and the row. Undefined for fewer rows. */
async function nearBound(db: Db, options: ListOptions, count: number): Promise<string | undefined> {
  const { after = FIRST_ID, before = LAST_ID, order = 'desc' } = options;
  const { rows } = await db.query<{ id: string }>(
    `SELECT id FROM predictions WHERE id > $1 AND id < $2 ORDER BY id ${order} OFFSET ${count} LIMIT 1`,
    [after, before],
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

interface ListSql extends Search {
  columns: string;
  where: string;
  limit: string;
}

function listSql(statement: Statement, { columns, where, limit, tenant, options, inModels }: ListSql): string {
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
  if (!inModels) return rows('');
  // Finds the models of the tenant's rows one by one, and reads a page of each model through the index by model. An additional index
  // would slow down every written row.
  const nextModel = (where: string) =>
    `SELECT model FROM predictions WHERE tenant = ${owner} ${where} ORDER BY model LIMIT 1`;
  return `
    WITH RECURSIVE used (model) AS (
      (${nextModel('')}) UNION ALL SELECT (${nextModel('AND model > used.model')}) FROM used WHERE used.model IS NOT NULL
    )
    SELECT page.* FROM used CROSS JOIN LATERAL (${rows('AND model = used.model')}) page ${sorted('page')}`;
}
