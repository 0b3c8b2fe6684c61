/** Shows times in the time zone of the browser: relative in lists, exact on hover. The key T shows exact times everywhere. */
import { useEffect, useState } from 'preact/hooks';
import { exactTime, fullTime, relativeTime } from '../core/format.ts';
import { h, html, type Markup } from './html.ts';

const TICK_MS = 1_000;
const listeners = new Set<() => void>();
let exact = false;
const redraw = () => {
  for (const listener of listeners) listener();
};
setInterval(() => {
  if (!document.hidden && !exact) redraw();
}, TICK_MS);

export function switchExactTimes(): void {
  exact = !exact;
  redraw();
}

interface TimeProps {
  at: string;
  /** Always the exact time. */
  exact?: boolean;
}

function Time({ at, exact: always = false }: TimeProps): Markup {
  const [, draw] = useState({});
  useEffect(() => {
    const listener = () => draw({});
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }, []);
  const date = new Date(at);
  return html`<time datetime=${at} title=${fullTime(date)}>${always || exact ? exactTime(date) : relativeTime(date)}</time>`;
}

/** Shows a dash if there is no time. */
export const time = (at: string | null | undefined, options: { exact?: boolean } = {}): Markup =>
  at ? h(Time, { at, ...options }) : html`<span class="zero">–</span>`;
