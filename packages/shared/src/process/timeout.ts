/** Rejects when a call has not settled in time. What it does goes on: nobody can call it back. */
export async function withTimeout<T>(ms: number, call: Promise<T>, what: string): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`${what} took longer than ${ms} ms`)), ms);
  try {
    return await Promise.race([call, late]);
  } finally {
    clearTimeout(timer);
    call.catch(() => {});
  }
}
