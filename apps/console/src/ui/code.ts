/** Code and JSON with a button that copies the text. */
import { useState } from 'preact/hooks';
import { h, html, type Markup } from './html.ts';
import { icon } from './icon.ts';

const DONE_MS = 1_200;
/** Longer JSON is shown cut: a page of megabytes would stop the browser. */
const SHOWN_MAX = 40_000;

interface CopyProps {
  text: string;
  label: string;
}

function Copy({ text, label }: CopyProps): Markup {
  const [done, setDone] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text).catch(() => copyBySelection(text));
    setDone(true);
    setTimeout(() => setDone(false), DONE_MS);
  };
  return html`<button class=${`copy${done ? ' done' : ''}`} type="button" aria-label=${done ? 'Copied' : label} title=${label} onClick=${copy}>
    ${icon(done ? 'check' : 'copy')}
  </button>`;
}

/** A page without https has no clipboard. */
function copyBySelection(text: string): void {
  const area = document.createElement('textarea');
  area.value = text;
  area.className = 'sr';
  document.body.append(area);
  area.select();
  document.execCommand('copy');
  area.remove();
}

export const copyButton = (text: string, label: string): Markup => h(Copy, { text, label });

interface CodeProps {
  text: string;
  label: string;
  marks?: Markup;
  className?: string;
}

/** `marks` is the text with colours. */
export const codeBlock = ({ text, label, marks, className = '' }: CodeProps): Markup =>
  html`<div class=${`code ${className}`}><pre tabindex="0" aria-label=${label} role="region">${marks ?? text}</pre>${copyButton(text, `Copy ${label.toLowerCase()}`)}</div>`;

export function jsonBlock(value: unknown, label: string, className = ''): Markup {
  const text = pretty(value);
  const shown = text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}\n…` : text;
  const note =
    shown === text
      ? null
      : html`<p class="hint">The first ${SHOWN_MAX.toLocaleString('en-US')} of ${text.length.toLocaleString('en-US')} characters. The copy has all.</p>`;
  return html`${codeBlock({ text, label, marks: colored(shown), className })}${note}`;
}

/** JSON in lines, with short arrays of numbers in one line. */
export function pretty(value: unknown): string {
  const text = JSON.stringify(value, null, 2) ?? 'null';
  return text.replaceAll(/\[\n\s+(-?[\d.eE+-]+(?:,\n\s+-?[\d.eE+-]+){0,15})\n\s+\]/g, (_, items: string) => {
    return `[${items.replaceAll(/,\n\s+/g, ', ')}]`;
  });
}

const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(?:true|false|null)\b|-?\b\d[\d.eE+-]*/g;

export function colored(text: string): Markup {
  const parts: Markup[] = [];
  let end = 0;
  for (const found of text.matchAll(TOKEN)) {
    const [whole, string, colon] = found;
    parts.push(text.slice(end, found.index));
    end = found.index + whole.length;
    if (colon !== undefined) parts.push(whole);
    else parts.push(html`<span class=${string === undefined ? 'n' : 's'}>${whole}</span>`);
  }
  return [...parts, text.slice(end)];
}
