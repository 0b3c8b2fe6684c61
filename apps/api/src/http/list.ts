/** The form of every list: `{"data": [...], "next": "..." or null, "has_more": false}`, its parameters, and its `Link` header. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';

const LIMIT_DEFAULT = 20;
const LIMIT_MAX = 100;

/** The parameters of every list. */
export const listParameters = {
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      default: LIMIT_DEFAULT,
      description: `The most items of a page. A number above ${LIMIT_MAX} counts as ${LIMIT_MAX}.`,
    }),
  ),
  cursor: Type.Optional(
    Type.String({ maxLength: 1_000, description: 'The `next` of the previous page, with the same filters.' }),
  ),
};

/** The parameter of lists that are sorted by creation. */
export const orderParameter = {
  order: Type.Optional(
    Type.Unsafe<Order>(
      Type.Enum(['desc', 'asc'], {
        default: 'desc',
        description: '`desc` is newest first, and `asc` is oldest first.',
      }),
    ),
  ),
};

export type Order = 'desc' | 'asc';

/** The number of items of a page. */
export const limitOf = ({ limit = LIMIT_DEFAULT }: { limit?: number | undefined }): number =>
  Math.min(limit, LIMIT_MAX);

export interface Page<T> {
  data: T[];
  /** The cursor of the next page; null on the last page. */
  next: string | null;
  has_more: boolean;
}

export interface PageParams<Row, Item> {
  /** The rows of the page, and one row more if there is a next page. */
  rows: readonly Row[];
  limit: number;
  item(row: Row): Item;
  /** The cursor of the page after this row. */
  cursorAfter(row: Row): string;
}

export function pageOf<Row, Item>({ rows, limit, item, cursorAfter }: PageParams<Row, Item>): Page<Item> {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const hasMore = rows.length > limit;
  return { data: shown.map(item), next: hasMore && last !== undefined ? cursorAfter(last) : null, has_more: hasMore };
}

/** Adds `Link: rel="next"` to the response of a page. `base` is the public URL without a final slash, or ''. */
export function linkNext(request: FastifyRequest, reply: FastifyReply, { next, base }: NextPage): void {
  if (next === null) return;
  const [path = '', query = ''] = request.url.replace(/^https?:\/\/[^/]*/i, '').split('?');
  const parameters = new URLSearchParams(query);
  parameters.set('cursor', next);
  reply.header('link', `<${base}${path}?${parameters}>; rel="next"`);
}

interface NextPage {
  next: string | null;
  base: string;
}
