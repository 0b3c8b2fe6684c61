/** The line under a field: an explanation, or the fault of the field. */
import { html, type Markup } from './html.ts';
import { icon } from './icon.ts';

/** The field refers to the line by `aria-describedby="ID-hint"`. */
export const hint = (id: string, text: Markup, fault: string | undefined): Markup =>
  fault === undefined
    ? html`<p class="hint" id=${`${id}-hint`}>${text}</p>`
    : html`<p class="hint fail" id=${`${id}-hint`} role="alert">${icon('fail')}<span>${fault}</span></p>`;
