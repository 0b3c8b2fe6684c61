/** Short messages about actions whose effect is not visible on the page. */
import { useEffect, useState } from 'preact/hooks';
import { html, type Markup } from './html.ts';
import { icon } from './icon.ts';

const SHOWN_MS = 6_000;

interface Toast {
  id: number;
  text: string;
  failed: boolean;
}

let toasts: Toast[] = [];
let number = 0;
let draw: () => void = () => {};

const remove = (id: number) => {
  toasts = toasts.filter((toast) => toast.id !== id);
  draw();
};

export function showToast(text: string, { failed = false } = {}): void {
  number += 1;
  const id = number;
  toasts = [...toasts, { id, text, failed }];
  draw();
  // A failure stays until the reader closes the toast.
  if (!failed) setTimeout(() => remove(id), SHOWN_MS);
}

export function Toasts(): Markup {
  const [, setState] = useState({});
  useEffect(() => {
    draw = () => setState({});
  }, []);
  return html`<div class="toasts" role="status" aria-live="polite">
    ${toasts.map(
      ({ id, text, failed }) => html`<div key=${id} class=${`toast${failed ? ' failed' : ''}`}>
        ${icon(failed ? 'fail' : 'ok')}<div>${text}</div>
        <button class="copy" type="button" aria-label="Close" onClick=${() => remove(id)}>${icon('x')}</button>
      </div>`,
    )}
  </div>`;
}
