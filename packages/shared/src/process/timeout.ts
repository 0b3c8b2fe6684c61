/** Rejects when `call` does not settle within `ms`. The call itself continues, because a promise cannot be stopped. */
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
