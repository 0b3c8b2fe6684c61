/** Drives Chromium. Each page records what no page of the console may have: console errors, refused content and foreign requests. */
import { existsSync } from 'node:fs';
import axe from 'axe-core';
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect } from 'vitest';

const PLACES = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const executablePath = PLACES.find((file) => file && existsSync(file));
/** False on a machine without Chromium: the tests of the console are then left out by name. */
export const hasChromium = executablePath !== undefined;

const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export interface ConsoleTab {
  page: Page;
  context: BrowserContext;
  /** The faults so far. Responses of the API with an error are no faults: pages show them. */
  faults: string[];
}

export interface ConsoleBrowser {
  open(url: string, options?: BrowserContextOptions): Promise<ConsoleTab>;
}

/** Starts one browser for the tests of a file. */
export function useBrowser(): ConsoleBrowser {
  let browser: Browser;
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath, args: ARGUMENTS });
  });
  afterAll(() => browser?.close());
  return {
    async open(url, options = {}) {
      const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
      const page = await context.newPage();
      const faults = watchFaults(page, new URL(url).origin);
      await page.goto(url);
      return { page, context, faults };
    },
  };
}

function watchFaults(page: Page, origin: string): string[] {
  const faults: string[] = [];
  page.on('pageerror', (error) => faults.push(`error: ${error.message}`));
  page.on('console', (message) => {
    const isResponse = message.text().startsWith('Failed to load resource');
    if (['error', 'warning'].includes(message.type()) && !isResponse) faults.push(`console: ${message.text()}`);
  });
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (url.protocol.startsWith('http') && url.origin !== origin) faults.push(`foreign request: ${request.url()}`);
  });
  return faults;
}

interface Violation {
  id: string;
  nodes: { html: string; failureSummary?: string }[];
}

/** Expects that axe-core finds nothing on the page as it is. */
export async function expectAccessible(page: Page, name: string): Promise<void> {
  // The policy of the page refuses a script of a tag. Playwright evaluates the text in the page itself.
  await page.evaluate(axe.source);
  // A dialog that still fades in has a lower contrast.
  await page.evaluate(
    'Promise.allSettled(document.getAnimations().filter(({ effect }) => effect?.getTiming().iterations !== Infinity).map(({ finished }) => finished))',
  );
  const violations = await page.evaluate<Violation[]>('axe.run().then((result) => result.violations)');
  const found = violations.map(
    ({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.html} ${node.failureSummary ?? ''}`).join(' | ')}`,
  );
  expect(found, `axe-core on ${name}`).toEqual([]);
}
