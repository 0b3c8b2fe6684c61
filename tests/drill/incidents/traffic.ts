/** Incidents that callers cause. */
import { nextNumber, slow, type TestRequest } from '../../chaos/models.ts';
import type { Incident } from '../incident.ts';
import { repeat } from '../traffic.ts';

const BURST = 400;

/** A run of about 70 ms, of a model that has no other traffic. */
const heavy = (): Pick<TestRequest, 'model' | 'input'> => ({ model: 'heavy', input: { x: [100_000 + nextNumber()] } });

export const trafficIncidents: Incident[] = [
  {
    name: 'tenant-floods',
    how: `a tenant sends ${BURST} predictions of a slow model at once, and then as many as the workers compute`,
    calmS: 60,
    alert: { name: 'MillraceTenantFloods', labels: { tenant: 'south' } },
    effects: {
      MillraceWaitLong: 'the predictions of the tenant wait',
      MillraceEnginesBusy: 'the engines compute without a pause',
    },
    async inject({ send }) {
      const flood = () => send(heavy(), { tenant: 'south', wait: false });
      await Promise.all(Array.from({ length: BURST }, flood));
      return repeat(100, flood);
    },
  },
  {
    name: 'callers-leave',
    how: 'callers of a model close their connections after 60 ms',
    alert: { name: 'MillraceCallersLeave', labels: { model: 'slow' } },
    inject: async ({ send }) => repeat(400, () => send(slow(150), { tenant: 'west', signal: AbortSignal.timeout(60) })),
  },
  {
    name: 'predictions-expire',
    how: 'callers allow one second for work of several seconds',
    alert: { name: 'MillracePredictionsFail', labels: { model: 'slow' } },
    effects: { MillraceRefused: 'admission refuses deadlines that the measured rate cannot meet' },
    lines: [{ process: 'worker', message: 'prediction expired', fields: { model: 'slow', tenant: 'west', id: /./ } }],
    inject: async ({ send }) => {
      const late = () => send(slow(600), { tenant: 'west', wait: false, body: { expires_in: 1 } });
      return repeat(1_000, () => Promise.all(Array.from({ length: 6 }, late)));
    },
  },
  {
    name: 'input-jitter',
    how: 'the repeated inputs change a little in each request',
    calmS: 75,
    alert: { name: 'MillraceHitShareHalved' },
    async inject({ traffic }) {
      traffic.shape.jitter = true;
      return () => {
        traffic.shape.jitter = false;
      };
    },
    async signals({ as }) {
      const { url, headers } = as('north');
      const keyOf = async (x: number) => {
        const response = await fetch(`${url}/v1/models/quick/predictions`, {
          method: 'POST',
          headers: { ...headers, 'content-type': 'application/json', prefer: 'wait=10' },
          body: JSON.stringify({ input: { x: [[x, 1]] } }),
        });
        await response.arrayBuffer();
        return /key="?([0-9a-f]{8})"?/.exec(response.headers.get('cache-status') ?? '')?.[1];
      };
      const [one, same, other] = [await keyOf(0.5), await keyOf(0.5), await keyOf(0.501)];
      return one !== undefined && one === same && one !== other
        ? []
        : [`Cache-Status does not distinguish inputs: ${one}, ${same}, ${other}`];
    },
  },
];
