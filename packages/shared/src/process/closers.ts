/** A stack of closers: push one when you open something; they run in reverse, once, against a deadline. */

export interface Closers {
  push(name: string, close: () => Promise<unknown> | unknown): void;
  /** Runs all closers, last in first out; resolves to the names of those that failed or did not finish in time. */
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
        // Past the deadline each still gets a moment, so that the cheap ones are closed all the same.
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
