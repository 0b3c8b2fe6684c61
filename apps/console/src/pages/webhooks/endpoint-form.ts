/** The form of an endpoint: a new endpoint, whose secret is shown once, or changes of an endpoint. */
import { useRef, useState } from 'preact/hooks';
import { go, href } from '../../core/address.ts';
import { ApiProblem, call } from '../../core/api.ts';
import type { Endpoint } from '../../core/operator-types.ts';
import { dialog } from '../../ui/dialog.ts';
import { hint } from '../../ui/hint.ts';
import { h, html, type Markup } from '../../ui/html.ts';
import { SecretDialog } from './endpoint-dialogs.ts';

const TYPES = ['prediction.succeeded', 'prediction.failed', 'prediction.canceled', 'prediction.expired'] as const;

interface FormProps {
  endpoint?: Endpoint;
  changed: () => void;
  close: () => void;
}

interface Draft {
  url: string;
  description: string;
  /** Empty for all types. */
  types: readonly string[];
  models: string;
}

type Created = Endpoint & { secret: string };

export function EndpointForm({ endpoint, changed, close }: FormProps): Markup {
  const [draft, setDraft] = useState<Draft>(() => draftOf(endpoint));
  const [fault, setFault] = useState<string>();
  const [created, setCreated] = useState<Created>();
  const save = async () => {
    setFault(undefined);
    try {
      if (endpoint === undefined)
        setCreated((await call<Created>('/v1/webhook-endpoints', { method: 'POST', body: bodyOf(draft) })).body);
      else await call(`/v1/webhook-endpoints/${endpoint.id}`, { method: 'PATCH', body: bodyOf(draft) });
    } catch (error) {
      if (
        error instanceof ApiProblem &&
        (error.code === 'webhook_refused' || error.faults.some(({ pointer }) => pointer === '/url'))
      )
        setFault(error.message);
      throw error;
    }
    changed();
  };
  if (created !== undefined) {
    const done = () => {
      close();
      go(href('/webhooks', { tab: 'endpoints', endpoint: created.id }));
    };
    return h(SecretDialog, {
      title: 'The endpoint is registered',
      secret: created.secret,
      note: html`Verify the signature of each request with this secret, as <span class="mono">docs/webhooks.md</span> shows.`,
      close: done,
    });
  }
  return h(Form, { endpoint, draft, setDraft, fault, save, close });
}

interface FieldsProps {
  endpoint: Endpoint | undefined;
  draft: Draft;
  setDraft: (draft: Draft) => void;
  fault: string | undefined;
  save: () => Promise<void>;
  close: () => void;
}

function Form({ endpoint, draft, setDraft, fault, save, close }: FieldsProps): Markup {
  const done = useRef(false);
  const isNew = endpoint === undefined;
  const run = async () => {
    await save();
    // A new endpoint continues with its secret.
    done.current = isNew;
  };
  const set = (name: 'url' | 'description' | 'models') => (event: Event) =>
    setDraft({ ...draft, [name]: (event.currentTarget as HTMLInputElement).value });
  const toggle = (type: string) => (event: Event) => {
    const isOn = (event.currentTarget as HTMLInputElement).checked;
    setDraft({ ...draft, types: isOn ? [...draft.types, type] : draft.types.filter((known) => known !== type) });
  };
  const check = (type: string) =>
    html`<label class="check"><input type="checkbox" checked=${draft.types.includes(type)} onChange=${toggle(type)} />${type.replace('prediction.', '')}</label>`;
  return dialog({
    title: isNew ? 'Add endpoint' : 'Edit endpoint',
    action: isNew ? 'Add endpoint and show secret' : 'Save changes',
    keep: 'Cancel',
    run,
    close: () => (done.current ? undefined : close()),
    children: html`
      <div class="field"><label for="endpoint-url">URL</label><input class="input" id="endpoint-url" type="url" placeholder="https://" value=${draft.url} aria-invalid=${fault === undefined ? undefined : 'true'} aria-describedby="endpoint-url-hint" onInput=${set('url')} />
        ${hint('endpoint-url', 'The URL must use https and lead to a public address, unless the operator allows another.', fault)}</div>
      <fieldset class="field plain"><legend class="label">Predictions that</legend><div class="checks">${TYPES.map(check)}</div>
        <p class="hint">Without a choice the endpoint receives all events.</p></fieldset>
      <div class="field"><label for="endpoint-models">Models</label><input class="input" id="endpoint-models" placeholder="all models" value=${draft.models} aria-describedby="endpoint-models-hint" onInput=${set('models')} />
        ${hint('endpoint-models', 'Names, separated by commas. Empty for all models.', undefined)}</div>
      <div class="field"><label for="endpoint-description">Description</label><input class="input" id="endpoint-description" maxlength="500" value=${draft.description} onInput=${set('description')} /></div>`,
  });
}

function draftOf(endpoint: Endpoint | undefined): Draft {
  if (endpoint === undefined) return { url: '', description: '', types: [], models: '' };
  const { url, description, events, models } = endpoint;
  const isAll = events.includes('*');
  const types = events.includes('prediction.*')
    ? TYPES
    : events.filter((type) => TYPES.some((known) => known === type));
  return { url, description, types: isAll ? [] : types, models: models.join(', ') };
}

const bodyOf = ({ url, description, types, models }: Draft) => ({
  url: url.trim(),
  description: description.trim(),
  events: types.length === 0 ? null : types,
  models: models
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== ''),
});
