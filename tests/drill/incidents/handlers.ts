/** Incidents of handlers, engines and webhook receivers. */
import { uuidOf } from '@millrace/shared/predictions/public-ids';
import { nextNumber } from '../../chaos/models.ts';
import type { Incident } from '../incident.ts';
import { repeat, type Send } from '../traffic.ts';

const acting = (send: Send, act: string) => () =>
  send({ model: 'acting', input: { x: nextNumber(), act } }, { tenant: 'west' });

export const handlerIncidents: Incident[] = [
  {
    name: 'engine-aborts',
    how: 'an input aborts the engine every three seconds',
    alert: { name: 'MillraceEnginesEnd', labels: { model: 'acting' } },
    effects: {
      MillracePredictionsFail: 'the predictions with the input fail',
      MillraceEnginesMissing: 'an ended engine is missing until the next engine has started',
    },
    lines: [
      { process: 'worker', message: 'engine ended', fields: { model: 'acting', end: 'signal', ids: /./ } },
      { process: 'worker', message: 'prediction failed', fields: { model: 'acting', tenant: 'west' } },
    ],
    inject: async ({ send }) => repeat(3_000, acting(send, 'abort')),
  },
  {
    name: 'handler-throws',
    how: 'a handler throws for one input a second',
    alert: { name: 'MillracePredictionsFail', labels: { model: 'acting' } },
    lines: [
      {
        process: 'worker',
        message: 'prediction failed',
        fields: { model: 'acting', tenant: 'west', code: 'inference_failed', id: /./ },
      },
    ],
    inject: async ({ send }) => repeat(1_000, acting(send, 'throw')),
  },
  {
    name: 'canonical-form-slow',
    how: "a handler's canonicalize takes 0.7 s for one input a second",
    alert: { name: 'MillraceCanonicalFormSlow', labels: { model: 'acting' } },
    lines: [
      { process: 'api', message: 'a canonical form was slow', fields: { model: 'acting', tenant: 'west', ms: /./ } },
    ],
    inject: async ({ send }) => repeat(300, acting(send, 'busy')),
  },
  {
    name: 'receiver-fails',
    how: 'the receiver of one tenant returns 500',
    alert: { name: 'MillraceWebhookEndpointFails' },
    lines: ({ endpoints }) => [
      {
        process: 'worker',
        message: 'endpoint fails',
        fields: { endpoint: uuidOf('we', endpoints.north) ?? '', tenant: 'north' },
      },
    ],
    async inject({ as, receiver, endpoints }) {
      const { url, headers } = as('north');
      const move = async (target: string) => {
        const response = await fetch(`${url}/v1/webhook-endpoints/${endpoints.north}`, {
          method: 'PATCH',
          headers: { ...headers, 'content-type': 'application/json' },
          body: JSON.stringify({ url: `${receiver.url}/${target}/north` }),
        });
        await response.arrayBuffer();
      };
      await move('500');
      return () => move('200');
    },
  },
];
