/** The filters above the list: a search field, a choice for each common filter, and a chip for each further filter. */
import { useState } from 'preact/hooks';
import { setQuery } from '../../core/address.ts';
import { get } from '../../core/api.ts';
import { useData } from '../../core/data.ts';
import type { List, Model } from '../../core/types.ts';
import { combo } from '../../ui/combo.ts';
import { h, html, type Markup } from '../../ui/html.ts';
import { icon } from '../../ui/icon.ts';
import { filterOfText, metadataOf, RANGES, STATUSES } from './filters.ts';

const change = (changes: Record<string, string | null>) => setQuery({ ...changes, cursor: null });

function FilterBar({ query }: { query: URLSearchParams }): Markup {
  return html`<div class="filters" role="search" aria-label="Filters">
    ${h(SearchField, {})}
    ${rangeChoice(query)}
    ${h(ModelChoice, { model: query.get('model') })}
    ${choice({
      label: 'Status',
      value: query.get('status') ?? '',
      choices: [
        ['', 'any'],
        ...STATUSES.map((status) => [status, status] as const),
        ['failed,canceled,expired', 'not succeeded'],
        ['queued,running', 'open'],
      ],
      set: (value) => change({ status: value }),
    })}
    ${chips(query)}
  </div>`;
}

export const filterBar = (query: URLSearchParams): Markup => h(FilterBar, { query });

function SearchField(): Markup {
  const [text, setText] = useState('');
  const [wrong, setWrong] = useState(false);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== 'Enter' || text.trim() === '') return;
    const filter = filterOfText(text);
    if (filter === undefined) return setWrong(true);
    change({ [filter.name]: filter.value });
    setText('');
  };
  const onInput = (event: InputEvent) => {
    setText((event.currentTarget as HTMLInputElement).value);
    setWrong(false);
  };
  return html`<div class="search">${icon('search')}
    <input class="input" type="text" aria-label="Search by id, error code or metadata" placeholder="Id, error code or metadata.order=17" spellcheck="false" autocomplete="off"
      aria-invalid=${wrong ? 'true' : undefined} aria-describedby=${wrong ? 'search-hint' : undefined} value=${text} onInput=${onInput} onKeyDown=${onKeyDown} /><kbd aria-hidden="true">/</kbd>
    ${wrong ? html`<p class="hint fail" id="search-hint" role="alert">${icon('fail')}<span>Enter the beginning of an id, an error code such as engine_crashed, or metadata.KEY=VALUE.</span></p>` : null}
  </div>`;
}

interface ChoiceProps {
  label: string;
  value: string;
  choices: readonly (readonly [value: string, word: string])[];
  set: (value: string) => void;
}

function choice({ label, value, choices, set }: ChoiceProps): Markup {
  const known = choices.some(([key]) => key === value) ? choices : [...choices, [value, value] as const];
  return html`<label class="chip select-chip"><i>${label}:</i><select value=${value} onChange=${(event: Event) => set((event.currentTarget as HTMLSelectElement).value)}>
    ${known.map(([key, word]) => html`<option value=${key}>${word}</option>`)}</select>${icon('down')}</label>`;
}

function rangeChoice(query: URLSearchParams): Markup {
  const custom = query.has('from') || query.has('to');
  const choices = Object.entries(RANGES).map(([key, [word]]) => [key, word] as const);
  return choice({
    label: 'Created',
    value: custom ? 'custom' : (query.get('range') ?? ''),
    choices: [['', 'any time'], ...choices, ...(custom ? [['custom', 'in the chosen time'] as const] : [])],
    set: (range) => change({ range: range === 'custom' ? null : range, from: null, to: null }),
  });
}

/** With few models a choice, and with many models a field with suggestions. */
function ModelChoice({ model }: { model: string | null }): Markup {
  const [text, setText] = useState<string>();
  const { data } = useData('filter models', (signal) => get<List<Model>>('/v1/models', { limit: 30 }, signal));
  if (data === undefined || !data.has_more) {
    const names = data?.data.map(({ name }) => name) ?? [];
    return choice({
      label: 'Model',
      value: model ?? '',
      choices: [['', 'any'], ...names.map((name) => [name, name] as const)],
      set: (value) => change({ model: value }),
    });
  }
  return html`<div class="filter-model">${combo({
    id: 'filter-model',
    label: html`<span class="sr">Model</span>`,
    value: text ?? model ?? '',
    placeholder: 'Any model',
    noun: 'Models',
    invalid: false,
    hint: null,
    change: (value) => {
      setText(value);
      if (value === '') change({ model: null });
    },
    choose: (value) => {
      setText(undefined);
      change({ model: value });
    },
    search: async (wanted, signal) => {
      const found = await get<List<Model>>('/v1/models', { q: wanted, limit: 8 }, signal);
      return { shown: found.data.map(({ name }) => ({ value: name, more: '', note: '' })), more: found.has_more };
    },
  })}</div>`;
}

function chips(query: URLSearchParams): Markup {
  const shown: [string, string, string][] = [
    ...(['version', 'error', 'id'] as const).flatMap((name) =>
      query.has(name) ? [[name, name, query.get(name) ?? ''] as [string, string, string]] : [],
    ),
    ...metadataOf(query).map(([name, value]): [string, string, string] => [name, name, value]),
  ];
  return shown.map(
    ([name, word, value]) => html`<span class="chip" key=${name}><span class="chip-text"><i>${word}:</i> ${value}</span>
      <button class="remove" type="button" aria-label=${`Remove the filter ${word}`} onClick=${() => change({ [name]: null })}>${icon('x')}</button></span>`,
  );
}
