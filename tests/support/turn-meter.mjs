// Loaded into a process with --import: keeps the longest turn of the event loop, in milliseconds of processor time, in the file
// TURN_METER, from the moment when the file exists. Processor time does not count the work of other processes of the machine.
import { existsSync, writeFileSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

const file = process.env.TURN_METER;
if (file && isMainThread) {
  let longest = 0;
  let before = process.threadCpuUsage();
  // The processor time between two ticks is the time of all turns in between, so it is at least the time of the longest turn.
  setInterval(() => {
    const { user, system } = process.threadCpuUsage(before);
    before = process.threadCpuUsage();
    const ms = (user + system) / 1_000;
    if (ms <= longest || !existsSync(file)) return;
    longest = ms;
    writeFileSync(file, String(longest));
  }, 2).unref();
}
