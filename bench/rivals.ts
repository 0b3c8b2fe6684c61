/** How each rival is started, and what it needs. */
import path from 'node:path';

export type RivalName = 'millrace' | 'echo' | 'direct' | 'job-per-request';

export interface Program {
  /** `api` is the one that the load is sent to. */
  role: 'api' | 'worker';
  file: string;
}

export interface RivalPlan {
  programs: readonly Program[];
  needs: readonly ('redis' | 'postgres')[];
}

const root = path.resolve(import.meta.dirname, '..');
const own = (file: string): string => path.join(import.meta.dirname, 'rivals', file);

export const rivalPlans: Readonly<Record<RivalName, RivalPlan>> = {
  millrace: {
    programs: [
      { role: 'worker', file: path.join(root, 'apps/worker/src/main.ts') },
      { role: 'api', file: path.join(root, 'apps/api/src/main.ts') },
    ],
    needs: ['redis', 'postgres'],
  },
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
