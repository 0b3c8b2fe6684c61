/** Search or go to: pages, models, and a prediction by the beginning of its id. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { go, href } from '../core/address.ts';
import { get } from '../core/api.ts';
import { useData } from '../core/data.ts';
import { shortId } from '../core/format.ts';
import type { List, Model, Prediction, Session } from '../core/types.ts';
import { h, html, type Markup } from '../ui/html.ts';
import { type IconName, icon } from '../ui/icon.ts';
import { navPages } from './pages.ts';

interface Option {
  picture: IconName;
  word: string;
  more: string;
  keys: string;
  href: string;
}

interface Group {
  title: string;
  options: Option[];
}

const SHOWN = 8;
const ID_START = /^(pred_)?[0-9a-f][0-9a-f-]{3,}$/;

const pageOptions = (session: Session): Option[] =>
  navPages(session).flatMap(({ nav, title, pattern }) =>
    nav ? [{ picture: nav.icon, word: title, more: '', keys: `G ${nav.key.toUpperCase()}`, href: href(pattern) }] : [],
  );

async function findOptions(text: string, signal: AbortSignal): Promise<Group[]> {
  const isId = ID_START.test(text);
  const [models, predictions] = await Promise.all([
    get<List<Model>>('/v1/models', { q: text, limit: SHOWN }, signal),
    isId
      ? get<List<Prediction>>(
          '/v1/predictions',
          { id_prefix: text.startsWith('pred_') ? text : `pred_${text.replaceAll('-', '')}`, limit: 5 },
          signal,
        )
      : { data: [] },
  ]);
  return [
    {
      title: 'Predictions',
      options: predictions.data.map(({ id, model, status }) => ({
        picture: 'predictions',
        word: shortId(id),
        more: `${model}, ${status}`,
        keys: '',
        href: href(`/predictions/${id}`),
      })),
    },
    {
      title: 'Models',
      options: models.data.map(({ name, default_version }) => ({
        picture: 'models',
        word: name,
        more: default_version === null ? 'not ready' : `version ${default_version}`,
        keys: '',
        href: href(`/models/${name}`),
      })),
    },
  ];
}

interface PaletteProps {
  session: Session;
  close: () => void;
}

function Palette({ session, close }: PaletteProps): Markup {
  const box = useRef<HTMLDialogElement>(null);
  const [text, setText] = useState('');
  const [at, setAt] = useState(0);
  const wanted = text.trim().toLowerCase();
  const found = useData(`palette ${wanted}`, (signal) => findOptions(wanted, signal));
  const last = useRef<Group[]>([]);
  if (found.data) last.current = found.data;
  useEffect(() => box.current?.showModal(), []);
  useEffect(() => box.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: 'nearest' }), [at]);
  const pages = pageOptions(session).filter(({ word }) => word.toLowerCase().includes(wanted));
  const groups = [{ title: 'Go to', options: pages }, ...last.current].filter(({ options }) => options.length > 0);
  const options = groups.flatMap((group) => group.options);
  const chosen = Math.min(at, options.length - 1);
  const open = (option: Option | undefined) => {
    if (option === undefined) return;
    box.current?.close();
    go(option.href);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined) {
      event.preventDefault();
      setAt((chosen + step + options.length) % Math.max(1, options.length));
    } else if (event.key === 'Enter') {
      event.preventDefault();
      open(options[chosen]);
    }
  };
  const onInput = (event: InputEvent) => {
    setText((event.currentTarget as HTMLInputElement).value);
    setAt(0);
  };
  return html`<dialog class="palette" aria-label="Search or go to" ref=${box} onClose=${close}
      onClick=${(event: MouseEvent) => event.target === box.current && box.current?.close()}>
    <div class="prompt">${icon('search')}
      <input type="text" role="combobox" aria-expanded="true" aria-controls="palette-list" aria-autocomplete="list"
        aria-activedescendant=${options.length > 0 ? `palette-${chosen}` : undefined} aria-label="Page, model or prediction id"
        placeholder="Page, model or prediction id" autocomplete="off" spellcheck="false" value=${text} onInput=${onInput} onKeyDown=${onKeyDown} />
      <kbd>Esc</kbd></div>
    <div role="listbox" id="palette-list" aria-label="Results">${groupList({ groups, chosen, open })}</div>
    ${options.length === 0 ? html`<p class="palette-none" role="status">No page, model or prediction has this name.</p>` : null}
    <footer><span>↑ ↓ to select</span><span>↵ to open</span><span class="push">? for shortcuts</span></footer>
  </dialog>`;
}

interface GroupListProps {
  groups: readonly Group[];
  chosen: number;
  open: (option: Option) => void;
}

function groupList({ groups, chosen, open }: GroupListProps): Markup {
  let number = -1;
  return groups.map(
    ({ title, options }) => html`<div role="group" aria-labelledby=${`palette-${title}`}>
      <h3 id=${`palette-${title}`} role="presentation">${title}</h3>
      ${options.map((option) => {
        number += 1;
        return html`<div role="option" id=${`palette-${number}`} aria-selected=${String(number === chosen)} onClick=${() => open(option)}>
          ${icon(option.picture)}<span>${option.word}</span><span class="quiet">${option.more}</span>
          ${option.keys === '' ? null : html`<kbd>${option.keys}</kbd>`}
        </div>`;
      })}
    </div>`,
  );
}

export const palette = (props: PaletteProps): Markup => h(Palette, props);
