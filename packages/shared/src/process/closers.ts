/** Closes the parts of a process in reverse order of their opening, against a deadline. */

export interface Closers {
  /** Adds the closer of a part that was just opened. */
  push(name: string, close: () => Promise<unknown> | unknown): void;
  /** Runs all closers once, last in first out. Resolves to the names of the parts that failed or did not close in time. */
  close(deadlineMs: number): Promise<string[]>;
}

export function createClosers(onError: (name: string, error: unknown) => void): Closers {
  const stack: { name: string; close: () => Promise<unknown> | unknown }[] = [];
  let closing: Promise<string[]> | undefined;

  async function run(deadlineMs: number): Promise<string[]> {
    const unfinished: string[] = [];
    const end = performance.now() + deadlineMs;
    for (let next = stack.pop(); next; next = stack.pop()) {
      const { name, close } = next;
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<'late'>((resolve) => {
        // After the deadline every closer still gets 50 ms, so that fast closers finish.
        timer = setTimeout(() => resolve('late'), Math.max(end - performance.now(), 50));
      });
      try {
        const outcome = await Promise.race([Promise.resolve(close()).then(() => 'closed' as const), late]);
        if (outcome === 'late') unfinished.push(name);
      } catch (error) {
        unfinished.push(name);
        onError(name, error);
      } finally {
        clearTimeout(timer);
      }
    }
    return unfinished;
  }

  return {
    push: (name, close) => void stack.push({ name, close }),
    close: (deadlineMs) => (closing ??= run(deadlineMs)),
  };
}
