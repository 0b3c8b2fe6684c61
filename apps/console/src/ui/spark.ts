/** A small chart in a row of a table, without an axis. */
import { html, type Markup } from './html.ts';

const HIGH = 16;

export function spark(values: readonly number[]): Markup {
  const top = Math.max(...values);
  const y = (value: number) => (top > 0 ? 2 + HIGH - (value / top) * HIGH : 2 + HIGH).toFixed(1);
  const x = (index: number) => ((index / Math.max(1, values.length - 1)) * 100).toFixed(1);
  const line = values.map((value, index) => `${index === 0 ? 'M' : 'L'}${x(index)} ${y(value)}`).join('');
  return html`<svg class=${`spark${top > 0 ? '' : ' flat'}`} viewBox="0 0 100 20" preserveAspectRatio="none" aria-hidden="true">
    <path class="fill" d=${`${line}L100 19L0 19Z`} /><path d=${line} /></svg>`;
}

/** A share from 0 to 1 as a bar. */
export const shareBar = (share: number, mark: 'value' | 'hit' | 'bad' | 'near'): Markup =>
  html`<svg class="bar" aria-hidden="true"><rect class="ground" width="100%" height="100%" /><rect class=${mark} width=${`${Math.min(1, share) * 100}%`} height="100%" /></svg>`;
