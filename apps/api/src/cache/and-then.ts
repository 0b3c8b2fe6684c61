/**
 * Calls `next` with the value: at once, or when the promise resolves. An async function would allocate a promise for each
 * request on the hot path, and the garbage collector would move the promises of all waiting requests.
 */
export function andThen<T, R>(value: T | Promise<T>, next: (value: T) => R | Promise<R>): R | Promise<R> {
  return value instanceof Promise ? value.then(next) : next(value);
}
