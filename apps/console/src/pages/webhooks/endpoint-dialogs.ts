/** The dialogs of an endpoint: rotation of its secret, disable and enable, and removal. */
import { useRef, useState } from 'preact/hooks';
import { setQuery } from '../../core/address.ts';
import { call } from '../../core/api.ts';
import { exactTime } from '../../core/format.ts';
import type { Endpoint, Rotated } from '../../core/operator-types.ts';
import { copyButton } from '../../ui/code.ts';
import { dialog } from '../../ui/dialog.ts';
import { h, html, type Markup } from '../../ui/html.ts';
import { icon } from '../../ui/icon.ts';
import { showToast } from '../../ui/toast.ts';

interface Common {
  changed: () => void;
  close: () => void;
}

interface SecretProps {
  title: string;
  secret: string;
  note: Markup;
  close: () => void;
}

/** A secret is shown once. Only the reader closes the dialog. */
export function SecretDialog({ title, secret, note, close }: SecretProps): Markup {
  return dialog({
    title,
    keep: 'I have stored the secret',
    close,
    children: html`<p>${note}</p>
      <div class="secret"><span class="mono" tabindex="0" aria-label="Secret" role="textbox" aria-readonly="true">${secret}</span>${copyButton(secret, 'Copy secret')}</div>
      <div class="notice">${icon('warn')}<p>No later response shows this secret. Store the secret now.</p></div>`,
  });
}

const OVERLAPS: readonly (readonly [seconds: number, word: string])[] = [
  [86_400, 'for a day'],
  [604_800, 'for 7 days'],
  [3_600, 'for an hour'],
  [0, 'no longer'],
];

interface RotateProps extends Common {
  path: string;
  /** The endpoint, or the tenant, whose webhooks the secret signs. */
  receiver: string;
  /** There is no secret yet. */
  first?: boolean;
}

export function RotateSecret({ path, receiver, first = false, changed, close }: RotateProps): Markup {
  const [overlap, setOverlap] = useState(String(OVERLAPS[0]?.[0]));
  const [rotated, setRotated] = useState<Rotated>();
  const rotate = async () => {
    const { body } = await call<Rotated>(path, { method: 'POST', body: { overlap_s: Number(overlap) } });
    setRotated(body);
    changed();
  };
  if (rotated !== undefined) {
    const until = new Date(rotated.previous_signs_until_at);
    const note = first
      ? 'This secret signs the events.'
      : until.getTime() > Date.now()
        ? `Both secrets sign until ${exactTime(until)}. Change the secret of ${receiver} before that time.`
        : 'The previous secret signs no more.';
    return h(SecretDialog, { title: 'The new secret', secret: rotated.secret, note, close });
  }
  const onChange = (event: Event) => setOverlap((event.currentTarget as HTMLSelectElement).value);
  const verb = first ? 'Create secret' : 'Rotate secret';
  return h(Rotation, {
    title: first ? `Create a secret for ${receiver}?` : `Rotate the secret of ${receiver}?`,
    verb,
    keep: first ? 'Create no secret' : 'Keep the secret',
    rotate,
    close,
    fields: first
      ? html`<p>The secret signs each event, so that a receiver can refuse requests of others. The secret is shown once.</p>`
      : html`<p>Millrace creates a new secret and shows the secret once. During the overlap each event has two signatures, so the receiver can change at any moment.</p>
        <div class="field"><label for="overlap">The previous secret signs</label><select class="select" id="overlap" value=${overlap} onChange=${onChange}>${OVERLAPS.map(([seconds, word]) => html`<option value=${String(seconds)}>${word}</option>`)}</select></div>`,
  });
}

interface RotationProps {
  title: string;
  verb: string;
  keep: string;
  rotate: () => Promise<void>;
  close: () => void;
  fields: Markup;
}

/** The dialog ends with the next dialog, which has the secret, so its own close does nothing after the rotation. */
function Rotation({ title, verb, keep, rotate, close, fields }: RotationProps): Markup {
  const done = useRef(false);
  const run = async () => {
    await rotate();
    done.current = true;
  };
  return dialog({
    title,
    action: verb,
    keep,
    run,
    close: () => (done.current ? undefined : close()),
    children: fields,
  });
}

interface EnabledProps extends Common {
  endpoint: Endpoint;
  enable: boolean;
}

export function SetEnabled({ endpoint, enable, changed, close }: EnabledProps): Markup {
  const run = async () => {
    const status = enable ? 'enabled' : 'disabled';
    await call(`/v1/webhook-endpoints/${endpoint.id}`, { method: 'PATCH', body: { status } });
    changed();
  };
  return dialog({
    title: `${enable ? 'Enable' : 'Disable'} ${endpoint.url}?`,
    action: enable ? 'Enable endpoint' : 'Disable endpoint',
    keep: enable ? 'Keep disabled' : 'Keep enabled',
    risk: !enable,
    run,
    close,
    children: enable
      ? html`<p>The endpoint receives the events from now on. Use “Redeliver events” for the events of the past.</p>`
      : html`<p>The endpoint gets no more events, and its pending deliveries are canceled. The events stay in the feed, and can be redelivered later.</p>`,
  });
}

export function RemoveEndpoint({ endpoint, changed, close }: Common & { endpoint: Endpoint }): Markup {
  const run = async () => {
    await call(`/v1/webhook-endpoints/${endpoint.id}`, { method: 'DELETE' });
    showToast(`${endpoint.url} is removed.`);
    setQuery({ endpoint: null });
    changed();
  };
  return dialog({
    title: `Remove ${endpoint.url}?`,
    action: 'Remove endpoint',
    keep: 'Keep endpoint',
    risk: true,
    run,
    close,
    children: html`<p>The endpoint and its secret are deleted for good, and its pending deliveries are canceled. To pause an endpoint, disable it.</p>`,
  });
}
