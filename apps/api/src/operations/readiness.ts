/** Asks the parts that a process needs whether they are there: all at once, and none for longer than its asker waits. */

const CHECK_TIMEOUT_MS = 900;

/** For each part `ok`, or a sentence on what is wrong with it. */
export async function checkAll(parts: Record<string, () => Promise<unknown>>): Promise<Record<string, 'ok' | string>> {
  const answers = Object.entries(parts).map(async ([name, ask]) => [name, await check(ask)] as const);
  return Object.fromEntries(await Promise.all(answers));
}

async function check(ask: () => Promise<unknown>): Promise<'ok' | string> {
  const { promise: late, resolve } = Promise.withResolvers<string>();
  const timer = setTimeout(() => resolve(`no answer within ${CHECK_TIMEOUT_MS} ms`), CHECK_TIMEOUT_MS);
  try {
    return await Promise.race([ask().then(() => 'ok'), late]);
  } catch (error) {
    return (error as Error).message || 'no answer';
  } finally {
    clearTimeout(timer);
  }
}
