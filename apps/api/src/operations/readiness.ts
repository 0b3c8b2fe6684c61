/** Checks the parts that a process needs, all at the same time, within the usual timeout of a readiness probe. */

const CHECK_TIMEOUT_MS = 900;

/** Returns `ok` or a sentence that states the fault, for each part. */
export async function checkAll(parts: Record<string, () => Promise<unknown>>): Promise<Record<string, 'ok' | string>> {
  const results = Object.entries(parts).map(async ([name, run]) => [name, await check(run)] as const);
  return Object.fromEntries(await Promise.all(results));
}

async function check(run: () => Promise<unknown>): Promise<'ok' | string> {
  const { promise: late, resolve } = Promise.withResolvers<string>();
  const timer = setTimeout(() => resolve(`no response within ${CHECK_TIMEOUT_MS} ms`), CHECK_TIMEOUT_MS);
  try {
    return await Promise.race([run().then(() => 'ok'), late]);
  } catch (error) {
    return (error instanceof Error && error.message) || 'no response';
  } finally {
    clearTimeout(timer);
  }
}
