/** The stages of a prediction as bars on one axis of time. */
import { millis } from '../core/format.ts';
import type { Stage } from '../core/stages.ts';
import { html, type Markup } from './html.ts';

/** A shorter bar would not be seen, in percent. */
const WIDTH_MIN = 0.9;

export function waterfall(stages: readonly Stage[]): Markup {
  const total = Math.max(...stages.map(({ fromMs, tookMs }) => fromMs + tookMs), Number.MIN_VALUE);
  return html`<dl class="fall">${stages.map(({ name, kind, fromMs, tookMs }) => {
    const width = Math.max(WIDTH_MIN, (tookMs / total) * 100);
    const x = Math.min(100 - width, (fromMs / total) * 100);
    return html`<dt title=${name}>${name}</dt><dd><svg aria-hidden="true"><rect class=${kind} x=${`${x}%`} y="7" width=${`${width}%`} height="8" rx="1.5" /></svg></dd><dd class="num">${millis(tookMs)}</dd>`;
  })}</dl>`;
}
