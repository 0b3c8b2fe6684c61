/** The faults that a person must repair, each in one line with a link. Without problems, nothing. */
import { href } from '../../core/address.ts';
import { count, counted, exactTime } from '../../core/format.ts';
import type { Endpoint, Worker } from '../../core/operator-types.ts';
import { type Steps, sumOf } from '../../core/steps.ts';
import { html, type Markup } from '../../ui/html.ts';
import { icon } from '../../ui/icon.ts';
import { time } from '../../ui/time.ts';
import type { FailedVersion, SystemData } from './data.ts';

interface Need {
  key: string;
  failed: boolean;
  text: string;
  more: Markup;
  link?: { href: string; word: string };
}

const SHOWN_MAX = 5;
/** The newest steps whose refused requests are a problem of the present. */
const REFUSED_STEPS = 5;

export function needs(system: SystemData | undefined, steps: Steps | undefined): Markup {
  const all = [...(system === undefined ? [] : ofSystem(system)), ...(steps === undefined ? [] : ofRefusals(steps))];
  if (all.length === 0) return null;
  const more = all.length - SHOWN_MAX;
  return html`<ul class="needs block" aria-label="Needs attention">
    ${all.slice(0, SHOWN_MAX).map(line)}
    ${more > 0 ? html`<li>${icon('info')}<p>${counted(more, 'more problem')}.</p></li>` : null}
  </ul>`;
}

const line = ({ key, failed, text, more, link }: Need): Markup =>
  html`<li key=${key} class=${failed ? 'failed' : undefined}>${icon(failed ? 'fail' : 'warn')}<p class="cut" title=${text}>${text} <span>${more}</span></p>
    ${link === undefined ? null : html`<a href=${link.href}>${link.word}</a>`}</li>`;

const ofSystem = ({ health, workers, endpoints, failed }: SystemData): Need[] => [
  // The sentence of a part can name models of other tenants.
  ...Object.entries(workers === undefined ? {} : (health.faults ?? {})).map(
    ([part, fault]): Need => ({ key: part, failed: true, text: sentence(`${part}: ${fault}`), more: '' }),
  ),
  ...(workers ?? []).filter(({ status }) => status === 'stale').map(ofWorker),
  ...failed.map(ofVersion),
  ...endpoints.flatMap(ofEndpoint),
];

const sentence = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`);

const ofWorker = ({ id, host, seen_at, held }: Worker): Need => ({
  key: id,
  failed: true,
  text: `Worker ${host} has not reported since ${exactTime(new Date(seen_at))}.`,
  more: held === 0 ? 'It held no prediction.' : `Other workers run the ${counted(held, 'prediction')} that it held.`,
  link: { href: href('/workers', { worker: id }), word: 'View worker' },
});

const ofVersion = ({ model, version }: FailedVersion): Need => ({
  key: model.name,
  failed: true,
  text: sentence(`${model.name} ${version.version} failed to load: ${version.reason ?? 'no reason is known'}`),
  more: model.default_version === null ? 'No version is serving.' : `Version ${model.default_version} is serving.`,
  link: { href: href(`/models/${encodeURIComponent(model.name)}`, { tab: 'versions' }), word: 'View error' },
});

function ofEndpoint({ id, url, status, reason, failing_since_at }: Endpoint): Need[] {
  const name = URL.canParse(url) ? new URL(url).host : url;
  const link = { href: href('/webhooks', { tab: 'endpoints', endpoint: id }), word: 'View endpoint' };
  if (status === 'enabled' && failing_since_at !== null)
    return [
      {
        key: id,
        failed: false,
        text: `${name} has been failing since ${exactTime(new Date(failing_since_at))}.`,
        more: 'An endpoint that fails for five days is disabled.',
        link,
      },
    ];
  if (status === 'disabled' && (reason === 'failing' || reason === 'gone'))
    return [
      {
        key: id,
        failed: true,
        text: `${name} is disabled.`,
        more:
          reason === 'gone'
            ? 'The endpoint responded with 410.'
            : html`All attempts have failed since ${time(failing_since_at)}.`,
        link,
      },
    ];
  return [];
}

function ofRefusals({ steps, stepS }: Steps): Need[] {
  const refused = sumOf(steps.slice(-REFUSED_STEPS), 'refused');
  if (refused === 0) return [];
  const minutes = Math.round((REFUSED_STEPS * stepS) / 60);
  return [
    {
      key: 'refused',
      failed: false,
      text: `${count(refused)} ${refused === 1 ? 'request was' : 'requests were'} refused in the last ${minutes < 120 ? `${minutes} minutes` : `${Math.round(minutes / 60)} hours`}.`,
      more: 'The queue was full, a deadline could not be met, or a store did not respond. Clients repeat these requests.',
    },
  ];
}
