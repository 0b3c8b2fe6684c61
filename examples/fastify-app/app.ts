/** The routes of the app: a page, a submission, and the webhook that brings the result. */
import { ApiError, Millrace } from '@millrace/client';
import { millraceWebhooks, type WebhookEvent } from '@millrace/client/fastify';
import fastify, { type FastifyInstance } from 'fastify';
import { renderPage } from './page.ts';

export interface Settings {
  millraceUrl: string;
  apiKey?: string;
  /** The secret that signs the webhooks, `whsec_...`. */
  secret: string;
  /** The address at which Millrace reaches the app. */
  appUrl: string;
}

export interface Entry {
  id: string;
  drugs: string;
  status: string;
  result: string;
}

const MODEL = 'drug-interaction';
const WEBHOOK_PATH = '/webhooks/millrace';
/** The predictions on the page. */
const SHOWN = 100;

export async function createApp({ millraceUrl, apiKey, secret, appUrl }: Settings): Promise<FastifyInstance> {
  const millrace = new Millrace({ baseUrl: millraceUrl, apiKey });
  const entries = new Map<string, Entry>();
  const app = fastify({ bodyLimit: 10_000 });
  app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_request, body, done) =>
    done(null, Object.fromEntries(new URLSearchParams(String(body)))),
  );

  app.get('/', async (_request, reply) => reply.type('text/html').send(renderPage([...entries.values()].reverse())));

  const body = {
    type: 'object',
    required: ['drug_a', 'drug_b'],
    properties: {
      drug_a: { type: 'string', minLength: 1, maxLength: 200 },
      drug_b: { type: 'string', minLength: 1, maxLength: 200 },
    },
  } as const;
  app.post<{ Body: { drug_a: string; drug_b: string } }>(
    '/predictions',
    { schema: { body } },
    async (request, reply) => {
      const { drug_a, drug_b } = request.body;
      const drugs = `${drug_a} and ${drug_b}`;
      try {
        const { id } = await millrace.submit(
          MODEL,
          { drug_a, drug_b },
          { webhook: { url: `${appUrl}${WEBHOOK_PATH}` } },
        );
        // The webhook can arrive before this line.
        const known = entries.get(id);
        entries.set(id, { id, drugs, status: known?.status ?? 'queued', result: known?.result ?? '' });
        const [oldest] = entries.keys();
        if (entries.size > SHOWN && oldest) entries.delete(oldest);
        return reply.redirect('/', 303);
      } catch (error) {
        if (!(error instanceof ApiError) || error.status >= 500) throw error;
        const suggestions = error.suggestions.length > 0 ? ` Did you mean ${error.suggestions.join(' or ')}?` : '';
        return reply
          .code(error.status)
          .type('text/html')
          .send(renderPage([...entries.values()].reverse(), `${error.message}${suggestions}`));
      }
    },
  );

  /** An event has no output, so the app reads the prediction. */
  const onEvent = async (event: WebhookEvent) => {
    if (!event.type.startsWith('prediction.')) return;
    const { id, status, output, error } = await millrace.get(event.data.id);
    const result = status === 'succeeded' ? JSON.stringify(output) : (error?.detail ?? '');
    entries.set(id, { id, drugs: entries.get(id)?.drugs ?? '', status, result });
  };
  await app.register(millraceWebhooks, { path: WEBHOOK_PATH, secret, onEvent, processed: new Set() });
  return app;
}
