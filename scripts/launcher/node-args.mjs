// How Millrace's programs run Node. Plain JavaScript, since the launcher needs it before anything is installed.

export const nodeArgs = [
  '--disable-warning=ExperimentalWarning',
  // V8 lets the space for young objects grow to three times 16 MB by itself, and the heap with it: 10,000 callers at once
  // took 460 MiB of the API, and 363 so; with 4 MB every other object that waits is moved to the old space (docs/performance.md).
  '--max-semi-space-size=8',
  // Helpers of so small a collection cost more than they help: a process uses one core, and there are many processes.
  '--no-parallel-scavenge',
];
