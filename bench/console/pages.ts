/** The pages of the console as Chromium loads them: the requests of each page for data, and the time of its first paint. */
import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

const PLACES = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const ARGUMENTS = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'];

export interface LoadedPage {
  /** The paths of the requests for data, with their parameters, in the order of the requests. */
  paths: string[];
  firstPaintMs: number;
}

export interface Pages {
  /** Loads a page without a cache, and waits until no request is in progress. */
  load(url: string): Promise<LoadedPage>;
  close(): Promise<void>;
}

/** Starts Chromium. Throws on a machine without Chromium. */
export async function openPages(): Promise<Pages> {
  const executablePath = PLACES.find((file) => file && existsSync(file));
  if (executablePath === undefined)
    throw new Error('There is no Chromium: install it, or set CHROMIUM to the path of the program.');
  const browser = await chromium.launch({ executablePath, args: ARGUMENTS });
  return { load: (url) => load(browser, url), close: () => browser.close() };
}

async function load(browser: Browser, url: string): Promise<LoadedPage> {
  // A new context has no cache.
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  try {
    const page = await context.newPage();
    const paths: string[] = [];
    page.on('request', (request) => {
      const { origin, pathname, search } = new URL(request.url());
      const isData = pathname.startsWith('/v1/') || pathname === '/readyz' || pathname === '/console/session';
      if (origin === new URL(url).origin && isData) paths.push(pathname + search);
    });
    await page.goto(url, { waitUntil: 'networkidle' });
    const firstPaintMs = await page.evaluate<number>(
      `performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN`,
    );
    return { paths, firstPaintMs };
  } finally {
    await context.close();
  }
}
