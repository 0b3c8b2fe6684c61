/** How long the event loop of this thread is held, in processor time: what else the machine does adds nothing to it. */

/**
 * Runs `work` and resolves to the processor time of the longest turn of the event loop meanwhile, in milliseconds. The
 * loop spins in the meantime: let a thread or a process of its own send the requests.
 */
export async function longestTurnMs(work: () => Promise<unknown>): Promise<number> {
  let longest = 0;
  let before = process.threadCpuUsage();
  let next: NodeJS.Immediate;
  const turn = (): void => {
    const { user, system } = process.threadCpuUsage(before);
    longest = Math.max(longest, user + system);
    before = process.threadCpuUsage();
    next = setImmediate(turn);
  };
  next = setImmediate(turn);
  try {
    await work();
  } finally {
    clearImmediate(next);
  }
  return longest / 1_000;
}
