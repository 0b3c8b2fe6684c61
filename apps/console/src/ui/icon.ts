/** Icons of 16 px, drawn with lines. Each icon stands beside a word or a label, so readers of the screen skip icons. */
import { html, type Markup } from './html.ts';

const RING = 'M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0';

const PATHS = {
  overview: 'M2 12.5h12M3.5 10V7M8 10V3.5M12.5 10V6',
  predictions: 'M5.5 4H14M5.5 8H14M5.5 12H14M2.2 4h.1M2.2 8h.1M2.2 12h.1',
  models: 'M8 1.8 13.5 5v6L8 14.2 2.5 11V5zM2.5 5 8 8.1 13.5 5M8 8.1v6',
  bulk: 'M3 2.5h10v11H3zM3 6h10M3 9.7h10M7 6v7.5',
  webhooks: 'M14 2 7.2 8.8M14 2 9.7 14l-2.5-5.2L2 6.3z',
  workers:
    'M10 8a2 2 0 1 1-4 0 2 2 0 0 1 4 0M8 2v2M8 12v2M2 8h2M12 8h2M3.8 3.8l1.4 1.4M10.8 10.8l1.4 1.4M3.8 12.2l1.4-1.4M10.8 5.2l1.4-1.4',
  keys: 'M7.9 10.8a2.7 2.7 0 1 1-5.4 0 2.7 2.7 0 0 1 5.4 0M7.2 8.8l6-6M11 5l2 2',
  usage: 'M2.5 13.5h11M4 11V8M7 11V5M10 11V7M13 11V3',
  audit: 'M3.5 2h7l2.5 2.5V14h-9.5zM6 7h4.5M6 10h4.5',
  menu: 'M2.5 4.5h11M2.5 8h11M2.5 11.5h11',
  search: 'M11.2 7a4.2 4.2 0 1 1-8.4 0 4.2 4.2 0 0 1 8.4 0M10.2 10.2l3.3 3.3',
  promote: 'M8 13V3.5M4 7l4-4 4 4',
  x: 'm4 4 8 8M12 4l-8 8',
  plus: 'M8 3v10M3 8h10',
  swap: 'M5 2.5v11M5 13.5 2.5 11M11 13.5v-11M11 2.5 13.5 5',
  right: 'm6 4 4 4-4 4',
  left: 'm10 4-4 4 4 4',
  down: 'm4 6.2 4 4 4-4',
  copy: 'M7 5.5h5A1.5 1.5 0 0 1 13.5 7v5a1.5 1.5 0 0 1-1.5 1.5H7A1.5 1.5 0 0 1 5.5 12V7A1.5 1.5 0 0 1 7 5.5zM3.5 10.5h-1v-8h8v1',
  store:
    'M13.2 4c0 1.1-2.3 2-5.2 2S2.8 5.1 2.8 4 5.1 2 8 2s5.2.9 5.2 2M2.8 4v8c0 1.1 2.3 2 5.2 2s5.2-.9 5.2-2V4M2.8 8c0 1.1 2.3 2 5.2 2s5.2-.9 5.2-2',
  check: 'm3 8.5 3.2 3.2L13 5',
  retry: 'M13 8a5 5 0 1 1-1.5-3.6L13.3 6M13.3 2.7V6H10',
  out: 'M6.5 3h-4v10.5H13v-4M9 2.5h4.5V7M13.5 2.5 7.5 8.5',
  file: 'M3.5 2h6l3 3v9h-9zM9.5 2v3h3',
  download: 'M8 2.5v8M4.5 7 8 10.5 11.5 7M2.5 13.5h11',
  lock: 'M3.5 7.5h9v6h-9zM5.5 7.5V5a2.5 2.5 0 0 1 5 0v2.5',
  warn: 'M8 2.2 14.4 13.4H1.6zM8 6.5v3.2M8 11.6v.1',
  ok: `${RING}M5.4 8.2l1.8 1.8 3.4-3.7`,
  fail: `${RING}M6 6l4 4M10 6l-4 4`,
  info: `${RING}M8 7.4v3.4M8 5.2v.1`,
  canceled: `${RING}M4 12l8-8`,
  expired: `${RING}M8 4.8V8l2.2 1.6`,
  clock: `${RING}M8 4.5V8l2.4 1.6`,
} as const;

export type IconName = keyof typeof PATHS | 'running' | 'queued';

export function icon(name: IconName, className = ''): Markup {
  return html`<svg class=${`icon ${className}`} viewBox="0 0 16 16" aria-hidden="true">${shape(name)}</svg>`;
}

function shape(name: IconName): Markup {
  if (name === 'running') return html`<path d=${RING} opacity=".28" /><path class="turn" d="M8 2a6 6 0 0 1 6 6" />`;
  if (name === 'queued') return html`<path d=${RING} stroke-dasharray="1.6 2.6" />`;
  return html`<path d=${PATHS[name]} />`;
}

export const mark = (): Markup => html`<svg class="mark" viewBox="0 0 20 20" aria-hidden="true">
  <circle cx="10" cy="8" r="4.4" />
  <path d="M10 3.6V.9M10 15.1v-2.7M5.6 8H2.9M17.1 8h-2.7M6.9 4.9 5 3M15 13l-1.9-1.9M13.1 4.9 15 3M5 13l1.9-1.9" />
  <circle class="hub" cx="10" cy="8" r="1.3" />
  <path d="M1 18.2c1.5 0 1.5-1.1 3-1.1s1.5 1.1 3 1.1 1.5-1.1 3-1.1 1.5 1.1 3 1.1 1.5-1.1 3-1.1 1.5 1.1 3 1.1" />
</svg>`;
