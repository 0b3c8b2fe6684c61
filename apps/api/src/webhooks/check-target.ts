/** The check of webhook addresses as the API makes it, once for each registration and each prediction that names one. */
import { ApiError } from '@millrace/shared/errors';
import { createResolve } from '@millrace/shared/webhooks/resolve';
import { checkTarget, type Resolve, type TargetProblem } from '@millrace/shared/webhooks/target';
import { type TargetSettings, targetRules } from '@millrace/shared/webhooks/target-rules';

/** How long an answer stands for its host: thousands of predictions may name the same one in a second. */
const KEEP_MS = 30_000;
const KEEP_HOSTS = 1_000;
/** A name server that does not answer holds a caller no longer than this; each attempt checks again anyway. */
const RESOLVE_MS = 500;

/** Resolves for an address that webhooks may reach; else throws `webhook_refused`, saying why. */
export type CheckWebhook = (url: string) => Promise<void>;

export function createWebhookCheck(
  config: TargetSettings,
  resolve: Resolve = createResolve({ timeoutMs: RESOLVE_MS, tries: 1 }),
  now: () => number = () => performance.now(),
): CheckWebhook {
  const rules = targetRules(config);
  const expected = `an ${config.webhookHttp ? 'https or http' : 'https'} URL outside private networks`;
  const kept = new Map<string, { addresses: Promise<readonly string[]>; until: number }>();

  const resolveOnce: Resolve = (hostname) => {
    const known = kept.get(hostname);
    if (known && now() < known.until) return known.addresses;
    kept.delete(hostname);
    for (const oldest of kept.keys()) {
      if (kept.size < KEEP_HOSTS) break;
      kept.delete(oldest);
    }
    const addresses = resolve(hostname);
    kept.set(hostname, { addresses, until: now() + KEEP_MS });
    return addresses;
  };

  return async (text) => {
    const checked: URL | TargetProblem = await checkTarget(text, rules, resolveOnce);
    if (checked instanceof URL) return;
    throw new ApiError('webhook_refused', checked.message, {
      faults: [{ pointer: '/url', message: checked.message, expected, got: text.slice(0, 200) }],
    });
  };
}
