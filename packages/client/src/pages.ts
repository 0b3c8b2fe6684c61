/** Lists of several pages. */

export interface Page<Item> {
  data: Item[];
  /** The cursor of the next page; null on the last page. */
  next: string | null;
  has_more: boolean;
}

/** All items of a list, page by page: `for await (const item of list)`. */
export class PagedList<Item> implements AsyncIterable<Item> {
  readonly #load: (cursor: string | undefined) => Promise<Page<Item>>;
  readonly #start: string | undefined;

  constructor(load: (cursor: string | undefined) => Promise<Page<Item>>, start: string | undefined) {
    this.#load = load;
    this.#start = start;
  }

  /** Returns one page. The next page begins at `next`. */
  page(cursor: string | undefined = this.#start): Promise<Page<Item>> {
    return this.#load(cursor);
  }

  async *pages(): AsyncGenerator<Page<Item>> {
    for (let cursor = this.#start; ; ) {
      const page = await this.#load(cursor);
      yield page;
      if (!page.has_more || page.next === null || page.next === cursor) return;
      cursor = page.next;
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Item> {
    for await (const { data } of this.pages()) yield* data;
  }
}
