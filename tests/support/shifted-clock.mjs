// For NODE_OPTIONS=--import=...: shifts the wall clock of a process by CLOCK_SHIFT_MS, from the start if CLOCK_SHIFT is
// `at-start`, and back and forth at each SIGUSR2. The monotonic clock does not change, as when a machine's time is set.
const real = Date.now;
const shiftMs = Number(process.env.CLOCK_SHIFT_MS);
let shifted = process.env.CLOCK_SHIFT === 'at-start';
Date.now = () => real() + (shifted ? shiftMs : 0);
globalThis.Date = new Proxy(Date, {
  construct: (target, args) => (args.length > 0 ? new target(...args) : new target(Date.now())),
});
process.on('SIGUSR2', () => {
  shifted = !shifted;
});
