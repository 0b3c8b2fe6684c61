/** Lets the heap grow less while many connections are open, because each can have a waiting request. */
import type { Server } from 'node:http';
import { growthPercentOf, setHeapGrowth } from '@millrace/shared/process/heap-growth';

/** New connections between two counts. */
const STEP = 256;
/** A crowd that has left is forgotten after this time, because a crowd often comes again. */
const FORGET_MS = 60_000;

interface ConnectionMemoryParams {
  setGrowth?: (percent: number) => void;
  forgetMs?: number;
}

/** Fits the growth to the number of open connections: a larger number soon, a smaller number at the next of the counts each minute. */
export function fitHeapToConnections(
  server: Server,
  { setGrowth = setHeapGrowth, forgetMs = FORGET_MS }: ConnectionMemoryParams = {},
): void {
  const none = growthPercentOf(0);
  let percent = none;
  let accepted = 0;
  const count = (set: (wanted: number) => void): void => {
    server.getConnections((error, open) => {
      if (!error) set(open < STEP ? none : growthPercentOf(open));
    });
  };
  const fit = (wanted: number): void => {
    if (wanted === percent) return;
    percent = wanted;
    setGrowth(wanted);
  };
  const shrink = (wanted: number): void => {
    if (wanted < percent) fit(wanted);
  };
  server.on('connection', () => {
    accepted += 1;
    if (accepted % STEP === 0) count(shrink);
  });
  const timer = setInterval(() => count(fit), forgetMs).unref();
  server.once('close', () => clearInterval(timer));
}
