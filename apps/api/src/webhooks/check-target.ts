/** Checks the URL of a webhook when an endpoint is registered or changed, and when a prediction names a URL. */
import { ApiError } from '@millrace/shared/errors';
import { createResolve } from '@millrace/shared/webhooks/resolve';
import { checkTarget, type Resolve, type TargetProblem } from '@millrace/shared/webhooks/target';
import { type TargetSettings, targetRules } from '@millrace/shared/webhooks/target-rules';

/** How long the addresses of a host name are cached: thousands of predictions in a second may name the same host. */
const CACHE_MS = 30_000;
const MAX_HOSTS = 1_000;
/** The longest time that a request waits for a name server. Each attempt of a delivery checks the address again. */
const RESOLVE_MS = 500;

/** Resolves for a URL that webhooks may call. Throws `webhook_refused` with the reason for any other URL. */
export type CheckWebhook = (url: string) => Promise<void>;

export function createWebhookCheck(
  config: TargetSettings,
  resolve: Resolve = createResolve({ timeoutMs: RESOLVE_MS, tries: 1 }),
  now: () => number = () => performance.now(),
): CheckWebhook {
  const rules = targetRules(config);
  const expected = `an ${config.webhookHttp ? 'https or http' : 'https'} URL outside private networks`;
  const cached = new Map<string, { addresses: Promise<readonly string[]>; until: number }>();

  const resolveOnce: Resolve = (hostname) => {
    const entry = cached.get(hostname);
    if (entry && now() < entry.until) return entry.addresses;
    cached.delete(hostname);
    for (const oldest of cached.keys()) {
      if (cached.size < MAX_HOSTS) break;
      cached.delete(oldest);
    }
    const addresses = resolve(hostname);
    cached.set(hostname, { addresses, until: now() + CACHE_MS });
    return addresses;
  };

  return async (text) => {
    const checked: URL | TargetProblem = await checkTarget(text, rules, resolveOnce);
    if (checked instanceof URL) return;
    throw new ApiError('webhook_refused', checked.message, {
      faults: [{ pointer: '/url', message: checked.message, expected, got: withoutSecrets(text) }],
    });
  };
}

/** The URL for an error message. An `@` can follow a password, and a client may log the error. */
const withoutSecrets = (text: string): string =>
  text.includes('@') ? `a URL of ${text.length} characters with an @` : text.slice(0, 200);
