/** The form of a model: a field for each member of the input, or the input as JSON, and the choices of the request. */
import type { Version } from '../../core/types.ts';
import { hint } from '../../ui/hint.ts';
import { html, type Markup } from '../../ui/html.ts';
import { icon } from '../../ui/icon.ts';
import { type Draft, draftOf } from './draft.ts';
import { entityField } from './entity-field.ts';
import { type Field, inputOf } from './fields.ts';
import { imageField, isImageTensor } from './image-field.ts';
import type { ModelData } from './model-data.ts';
import type { RunOptions } from './run.ts';

interface FormProps {
  model: string;
  data: ModelData;
  fields: readonly Field[] | null;
  draft: Draft;
  setDraft: (draft: Draft) => void;
  options: RunOptions;
  setOptions: (options: RunOptions) => void;
  /** The fault of each field by its name; '' for the JSON. */
  faults: Readonly<Record<string, string>>;
  busy: boolean;
  run: () => void;
}

const textOf = (event: Event): string => (event.currentTarget as HTMLInputElement).value;

export function inputForm(props: FormProps): Markup {
  const { fields, draft, setDraft, busy, run } = props;
  const submit = (event: Event) => {
    event.preventDefault();
    run();
  };
  const toJson = () => {
    if (fields === null) return;
    if (!draft.asJson)
      return setDraft({
        ...draft,
        asJson: true,
        json: JSON.stringify(inputOf(fields, draft.values).input ?? draft.values, null, 2),
      });
    try {
      const back = draftOf(fields, JSON.parse(draft.json));
      setDraft(back.asJson ? draft : back);
    } catch {
      setDraft({ ...draft, asJson: false });
    }
  };
  return html`<form aria-label="Run the model" novalidate onSubmit=${submit}>
    ${fields === null || draft.asJson ? jsonField(props) : fieldList(fields, props)}
    ${choices(props)}
    <div class="go">
      <button class="button main" type="submit" aria-busy=${String(busy)}>${busy ? 'Running' : 'Run model'}<kbd>Ctrl ↵</kbd></button>
      ${fields === null ? null : html`<button class="button" type="button" aria-pressed=${String(draft.asJson)} title="Edit the input as JSON" onClick=${toJson}>JSON</button>`}
    </div>
  </form>`;
}

function jsonField({ draft, setDraft, faults }: FormProps): Markup {
  const problems = Object.values(faults);
  return html`<div class="field">
    <label for="input-json">Input</label>
    <textarea class="input" id="input-json" rows="9" spellcheck="false" aria-describedby="input-json-hint" aria-invalid=${problems.length > 0 ? 'true' : undefined}
      value=${draft.json} onInput=${(event: Event) => setDraft({ ...draft, json: textOf(event) })}></textarea>
    ${hint('input-json', 'The member `input` of the request, as JSON.'.replaceAll('`', ''), problems[0])}
  </div>`;
}

function fieldList(fields: readonly Field[], props: FormProps): Markup {
  const { draft, setDraft } = props;
  const isPair = fields.length === 2 && fields.every(({ kind }) => kind === fields[0]?.kind);
  const pair = isPair && (fields[0]?.kind === 'entity' || fields[0]?.kind === 'long') ? fields : [];
  const swap = () => {
    const [a, b] = pair.map(({ name }) => name);
    if (a === undefined || b === undefined) return;
    setDraft({ ...draft, values: { ...draft.values, [a]: draft.values[b] ?? '', [b]: draft.values[a] ?? '' } });
  };
  return fields.map((field, index) => [
    index === 1 && pair.length === 2
      ? html`<div class="swap"><button class="button plain tiny" type="button" onClick=${swap}>${icon('swap')}Swap</button></div>`
      : null,
    fieldMarkup(field, props),
  ]);
}

function fieldMarkup(field: Field, props: FormProps): Markup {
  const { draft, setDraft, faults, model } = props;
  const { name, kind } = field;
  const id = `field-${name}`;
  const value = draft.values[name] ?? '';
  const fault = faults[name];
  const change = (text: string) => setDraft({ ...draft, values: { ...draft.values, [name]: text } });
  if (kind === 'entity') return entityField({ id, field, model, value, fault, change });
  if (kind === 'image' || isImageTensor(field)) return imageField({ id, field, value, fault, change });
  const common = {
    class: 'input',
    id,
    'aria-describedby': `${id}-hint`,
    'aria-invalid': fault === undefined ? undefined : 'true',
  };
  const onInput = (event: Event) => change(textOf(event));
  if (kind === 'flag')
    return html`<div class="field line"><input type="checkbox" id=${id} checked=${value === 'true'} aria-describedby=${`${id}-hint`} onChange=${(event: Event) => change(String((event.currentTarget as HTMLInputElement).checked))} />
      <label for=${id}>${field.label}</label>${hint(id, field.description, fault)}</div>`;
  return html`<div class="field">
    <label for=${id}>${field.label}${field.required ? null : html`<span class="quiet">optional</span>`}</label>
    ${control({ field, value, common, onInput })}
    ${hint(id, hintOf(field), fault)}
  </div>`;
}

interface ControlProps {
  field: Field;
  value: string;
  common: Record<string, unknown>;
  onInput: (event: Event) => void;
}

function control({ field, value, common, onInput }: ControlProps): Markup {
  const { kind, placeholder, choices: values = [], minimum, maximum, integer } = field;
  if (kind === 'choice')
    return html`<select ...${common} class="select wide-select" value=${value} onChange=${onInput}>
      ${value === '' ? html`<option value="">Choose</option>` : null}${values.map((choice) => html`<option value=${String(choice)}>${String(choice)}</option>`)}
    </select>`;
  if (kind === 'number')
    return html`<input ...${common} type="number" inputmode="decimal" step=${integer ? '1' : 'any'} min=${minimum} max=${maximum} placeholder=${placeholder} value=${value} onInput=${onInput} />`;
  if (kind !== 'text')
    return html`<textarea ...${common} rows=${kind === 'json' || kind === 'list' ? 4 : 3} spellcheck=${String(kind === 'long')} placeholder=${placeholder} value=${value} onInput=${onInput}></textarea>`;
  return html`<input ...${common} type="text" spellcheck="false" autocomplete="off" placeholder=${placeholder} value=${value} onInput=${onInput} />`;
}

function hintOf({ kind, description, minimum, maximum }: Field): string {
  if (kind === 'list') return `One in each line. ${description}`;
  const range = minimum !== undefined && maximum !== undefined ? `From ${minimum} to ${maximum}. ` : '';
  return range + description;
}

const CACHE = [
  ['', 'read and write', 'cache on'],
  ['no-cache', 'compute again', 'computed again'],
  ['no-store', 'bypass', 'no cache'],
  ['only-if-cached', 'only if cached', 'only if cached'],
] as const;

function choices({ data, options, setOptions }: FormProps): Markup {
  const { model, versions } = data;
  const served = `${model.aliases.production === undefined ? 'newest' : 'production'} → ${model.default_version}`;
  const ready = versions.filter(({ status }) => status === 'ready');
  const set = (name: keyof RunOptions) => (event: Event) => setOptions({ ...options, [name]: textOf(event) });
  const wait = options.wait === '0' ? 'no wait' : `wait ${options.wait} s`;
  const cache = CACHE.find(([value]) => value === options.cache)?.[2] ?? options.cache;
  return html`<details class="choices">
    <summary>${icon('right')}<span class="cut">${options.version || served}, ${cache}, ${wait}</span></summary>
    <div class="grid2">
      ${select('version', 'Version', options.version, set('version'), [['', served], ...ready.map(({ version }: Version): [string, string] => [version, version])])}
      ${select('priority', 'Priority', options.priority, set('priority'), [
        ['', 'of the model'],
        ['high', 'high'],
        ['normal', 'normal'],
        ['low', 'low'],
      ])}
      ${select(
        'cache',
        'Cache',
        options.cache,
        set('cache'),
        CACHE.map(([value, word]) => [value, word]),
      )}
      ${select('wait', 'Wait', options.wait, set('wait'), [
        ['30', '30 s'],
        ['10', '10 s'],
        ['60', '60 s'],
        ['0', "don't wait"],
      ])}
    </div>
  </details>`;
}

type SelectParams = [
  label: string,
  value: string,
  onChange: (event: Event) => void,
  choices: readonly (readonly [string, string])[],
];

const select = (id: string, ...[label, value, onChange, values]: SelectParams): Markup =>
  html`<div class="field"><label for=${`option-${id}`}>${label}</label><select class="select" id=${`option-${id}`} value=${value} onChange=${onChange}>${values.map(
    ([key, word]) => html`<option value=${key}>${word}</option>`,
  )}</select></div>`;
