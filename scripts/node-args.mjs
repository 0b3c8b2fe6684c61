// How Millrace's programs run Node. Plain JavaScript, since the launcher needs it before anything is installed.

export const nodeArgs = [
  '--disable-warning=ExperimentalWarning',
  // V8 lets the space for young objects grow to three times 16 MB by itself, and the heap with it: 10,000 callers at once
  // took 515 MiB of the API, and 351 so, for no less throughput that could be told from noise (docs/performance.md).
  '--max-semi-space-size=4',
];
