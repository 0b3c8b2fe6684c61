/** The programs and servers that each rival needs. */
import path from 'node:path';

/** `before` is the Millrace of another checkout, which `--before` names. */
export type RivalName = 'millrace' | 'before' | 'echo' | 'direct' | 'job-per-request';

export interface Program {
  /** The load goes to the `api` program. */
  role: 'api' | 'worker';
  /** Path from the root of the checkout. */
  file: string;
}

export interface RivalPlan {
  programs: readonly Program[];
  /** `redis` is a queue Redis. As in `npm start`, the cache Redis is a process of its own and writes no append-only file. */
  needs: readonly ('redis' | 'cache' | 'postgres')[];
}

const own = (file: string): string => path.join('bench/rivals', file);

const millrace: RivalPlan = {
  programs: [
    { role: 'worker', file: 'apps/worker/src/main.ts' },
    { role: 'api', file: 'apps/api/src/main.ts' },
  ],
  needs: ['redis', 'cache', 'postgres'],
};

export const rivalPlans: Readonly<Record<RivalName, RivalPlan>> = {
  millrace,
  before: millrace,
  echo: { programs: [{ role: 'api', file: own('echo.ts') }], needs: [] },
  direct: { programs: [{ role: 'api', file: own('direct.ts') }], needs: [] },
  'job-per-request': {
    programs: [
      { role: 'worker', file: own('job-worker.ts') },
      { role: 'api', file: own('job-per-request.ts') },
    ],
    needs: ['redis'],
  },
};
