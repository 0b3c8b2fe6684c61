/** A status is a shape and a word; its colour comes last. */
import { html, type Markup } from './html.ts';
import { type IconName, icon } from './icon.ts';

const ICONS: Readonly<Record<string, IconName>> = {
  queued: 'queued',
  running: 'running',
  succeeded: 'ok',
  failed: 'fail',
  canceled: 'canceled',
  expired: 'expired',
  loading: 'running',
  ready: 'ok',
  draining: 'clock',
  retired: 'canceled',
  delivered: 'ok',
  pending: 'clock',
  enabled: 'ok',
  disabled: 'canceled',
  stale: 'warn',
};
/** Statuses that look as another status does. */
const CLASSES: Readonly<Record<string, string>> = {
  loading: 'running',
  pending: 'waiting',
  stale: 'waiting',
  draining: 'queued',
};

export const statusIcon = (status: string): Markup => icon(ICONS[status] ?? 'info');
export const statusClass = (status: string): string => CLASSES[status] ?? status;

/** `note` follows the word, such as the number of attempts. */
export const statusMark = (status: string, note: Markup = null): Markup =>
  html`<span class=${`status ${statusClass(status)}`}>${statusIcon(status)}${status}${note}</span>`;

export const ENDED: ReadonlySet<string> = new Set(['succeeded', 'failed', 'canceled', 'expired']);
