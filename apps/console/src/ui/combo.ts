/** A field with suggestions during typing: the combobox pattern of WAI-ARIA. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { h, html, type Markup } from './html.ts';
import { icon } from './icon.ts';

/** Typing waits this long for the next letter before a request. */
const PAUSE_MS = 60;

export interface Suggestion {
  /** The text that the field gets. */
  value: string;
  more: string;
  note: string;
}

export interface Suggestions {
  shown: Suggestion[];
  /** Whether there are more than the shown suggestions. */
  more: boolean;
}

export interface ComboProps {
  id: string;
  label: Markup;
  value: string;
  placeholder: string;
  hint: Markup;
  invalid: boolean;
  /** The word for the suggestions. */
  noun: string;
  change: (value: string) => void;
  /** Called with a chosen suggestion instead of `change`. */
  choose?: (value: string) => void;
  search: (text: string, signal: AbortSignal) => Promise<Suggestions>;
}

function Combo(props: ComboProps): Markup {
  const { id, label, value, placeholder, hint, invalid, noun, change, choose = change } = props;
  const [open, setOpen] = useState(false);
  const [at, setAt] = useState(0);
  const found = useSuggestions(props, open);
  const input = useRef<HTMLInputElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const shown = open ? found.shown : [];
  useEffect(
    () => list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: 'nearest' }),
    [at, open],
  );

  const take = (suggestion: Suggestion | undefined) => {
    if (suggestion) choose(suggestion.value);
    setOpen(false);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined) {
      event.preventDefault();
      if (!open) setOpen(true);
      else if (shown.length > 0) setAt((at + step + shown.length) % shown.length);
    } else if (event.key === 'Enter' && shown.length > 0) {
      event.preventDefault();
      take(shown[at]);
    } else if (event.key === 'Escape' && open) {
      event.stopPropagation();
      setOpen(false);
    }
  };
  const onInput = (event: InputEvent) => {
    change((event.currentTarget as HTMLInputElement).value);
    setAt(0);
    setOpen(true);
  };
  const clear = () => {
    change('');
    input.current?.focus();
    setOpen(true);
  };
  return html`<div class="field">
    <label for=${id}>${label}</label>
    <div class="combo">
      <input class="input" id=${id} ref=${input} role="combobox" aria-expanded=${String(shown.length > 0)} aria-controls=${`${id}-options`}
        aria-autocomplete="list" aria-describedby=${`${id}-hint`} aria-invalid=${invalid ? 'true' : undefined}
        aria-activedescendant=${shown.length > 0 ? `${id}-${at}` : undefined} autocomplete="off" spellcheck="false" placeholder=${placeholder} value=${value}
        onInput=${onInput} onKeyDown=${onKeyDown} onFocus=${() => input.current?.select()} onBlur=${() => setOpen(false)} />
      ${value === '' ? null : html`<button class="clear" type="button" tabindex="-1" aria-label="Clear" onClick=${clear}>${icon('x')}</button>`}
      <div class="options" id=${`${id}-options`} role="listbox" aria-label=${noun} hidden=${shown.length === 0} ref=${list}
        onPointerDown=${(event: PointerEvent) => event.preventDefault()}>
        ${shown.map(
          (
            suggestion,
            index,
          ) => html`<div role="option" id=${`${id}-${index}`} aria-selected=${String(index === at)} onClick=${() => take(suggestion)}>
            <div class="cut">${marked(suggestion.value, value)} <span>${marked(suggestion.more, value)}</span></div><span class="formula">${suggestion.note}</span>
          </div>`,
        )}
        ${found.more && shown.length > 0 ? html`<div class="foot" role="presentation">The first ${shown.length}. Keep typing.</div>` : null}
      </div>
    </div>
    ${hint}
  </div>`;
}

/** The suggestions of an earlier text stay until the suggestions of the present text arrive. */
function useSuggestions({ value, search }: ComboProps, open: boolean): Suggestions {
  const [found, setFound] = useState<Suggestions>({ shown: [], more: false });
  useEffect(() => {
    if (!open) return;
    const stop = new AbortController();
    const timer = setTimeout(() => {
      search(value.trim(), stop.signal).then(setFound, () => {});
    }, PAUSE_MS);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [value, open]);
  return found;
}

function marked(text: string, wanted: string): Markup {
  const at = wanted.trim() === '' ? -1 : text.toLowerCase().indexOf(wanted.trim().toLowerCase());
  if (at < 0) return text;
  const end = at + wanted.trim().length;
  return [text.slice(0, at), html`<mark>${text.slice(at, end)}</mark>`, text.slice(end)];
}

export const combo = (props: ComboProps): Markup => h(Combo, props);
