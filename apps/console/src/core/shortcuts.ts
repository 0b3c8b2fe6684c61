/** Keyboard shortcuts. Letters do nothing while the reader types, and while a dialog is open. */
import { useEffect, useRef } from 'preact/hooks';

/** The second key of a sequence such as `g p` must follow in this time. */
const SEQUENCE_MS = 900;

/** `t`, `?`, `g p` for G and then P, or `ctrl+k` for Control or ⌘. */
export type Shortcuts = Readonly<Record<string, () => void>>;

/** The shortcuts of the frame and of the shown page. */
const active = new Set<{ current: Shortcuts }>();
let first = '';
let firstAt = 0;

export function useShortcuts(shortcuts: Shortcuts): void {
  const latest = useRef(shortcuts);
  latest.current = shortcuts;
  useEffect(() => {
    active.add(latest);
    return () => void active.delete(latest);
  }, []);
}

const find = (name: string): (() => void) | undefined => {
  for (const { current } of active) if (Object.hasOwn(current, name)) return current[name];
  return undefined;
};

function onKey(event: KeyboardEvent): void {
  // An element of the page has used the key.
  if (event.defaultPrevented) return;
  const key = event.key.toLowerCase();
  if (event.ctrlKey || event.metaKey) {
    const run = event.altKey ? undefined : find(`ctrl+${key}`);
    if (run === undefined || document.querySelector('dialog[open]') !== null) return;
    event.preventDefault();
    // A key that is held down runs once.
    if (!event.repeat) run();
    return;
  }
  if (event.altKey || isTyping(event.target) || document.querySelector('dialog[open]') !== null) return;
  const sequence = performance.now() - firstAt < SEQUENCE_MS ? find(`${first} ${key}`) : undefined;
  first = key;
  firstAt = performance.now();
  const run = sequence ?? find(key);
  if (run === undefined) return;
  if (sequence !== undefined) first = '';
  event.preventDefault();
  run();
}

const isTyping = (target: EventTarget | null): boolean =>
  target instanceof Element &&
  target.closest('input:not([type=checkbox]), textarea, select, [contenteditable]') !== null;

document.addEventListener('keydown', onKey);
