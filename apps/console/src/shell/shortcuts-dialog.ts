/** The list of keyboard shortcuts. */

import { dialog } from '../ui/dialog.ts';
import { html, type Markup } from '../ui/html.ts';
import { PAGES } from './pages.ts';

const goKeys = PAGES.flatMap(({ nav }) => (nav ? [nav.key.toUpperCase()] : [])).join(' ');

const KEYS: readonly (readonly [string, string])[] = [
  ['Ctrl K', 'Search or go to'],
  [`G then ${goKeys}`, 'Go to a page'],
  ['/', 'Search this page'],
  ['J, K', 'Next or previous row'],
  ['↵', 'Open row'],
  ['X', 'Select row'],
  ['R', 'Retry predictions'],
  ['T', 'Show exact times'],
  ['L', 'Toggle live updates'],
  ['1 to 5', 'Time range of the charts'],
  ['Ctrl ↵', 'Run model'],
  ['Esc', 'Close'],
];

export const shortcutsDialog = (close: () => void): Markup =>
  dialog({
    title: 'Keyboard shortcuts',
    close,
    children: html`<dl class="sheet-of-keys">
      ${KEYS.map(([key, effect]) => html`<div><dt>${effect}</dt><dd><kbd>${key}</kbd></dd></div>`)}
    </dl>`,
  });
