// The Node options of Millrace's programs. Plain JavaScript, because the launcher imports this file before anything is installed.

export const nodeArgs = [
  '--disable-warning=ExperimentalWarning',
  // By default V8 lets the space for young objects grow to three times 16 MB. With 10,000 callers at once the API took 460 MiB
  // by default and takes 363 MiB with 8 MB. With 4 MB half of the waiting objects move to the old space (docs/performance.md).
  '--max-semi-space-size=8',
  // Helper threads cost more than they save in a collection of this size: a process uses one core, and many processes run.
  '--no-parallel-scavenge',
];

// glibc gives each thread an arena of its own, and keeps the memory that a thread has freed. With one arena an API process takes 12 MiB
// less. The threads of a process allocate little beside the main thread.
export const nodeEnv = { MALLOC_ARENA_MAX: '1' };
