/** How each rival is started, and what it needs. */
import path from 'node:path';

/** `before` is Millrace as another checkout has it, named by `--before`. */
export type RivalName = 'millrace' | 'before' | 'echo' | 'direct' | 'job-per-request';

export interface Program {
  /** `api` is the one that the load is sent to. */
  role: 'api' | 'worker';
  /** From the root of the checkout. */
  file: string;
}

export interface RivalPlan {
  programs: readonly Program[];
  needs: readonly ('redis' | 'postgres')[];
}

const own = (file: string): string => path.join('bench/rivals', file);

const millrace: RivalPlan = {
  programs: [
    { role: 'worker', file: 'apps/worker/src/main.ts' },
    { role: 'api', file: 'apps/api/src/main.ts' },
  ],
  needs: ['redis', 'postgres'],
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
