/** The order of work in one turn of the event loop. */

/** Calls `call` in this turn, after all microtasks: a tick that a microtask requests runs after the others. */
export function afterMicrotasks(call: () => void): void {
  queueMicrotask(() => process.nextTick(call));
}

/** Resolves in the next phase of the event loop, after everything that this turn has set for that phase. */
export const endOfTurn = (): Promise<void> =>
  new Promise((resolve) => {
    afterMicrotasks(() => setImmediate(resolve));
  });
