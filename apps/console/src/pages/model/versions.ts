/** The versions of a model: promote, roll back, retire, and the reason of a failed version. */
import { useState } from 'preact/hooks';
import { call } from '../../core/api.ts';
import type { Version } from '../../core/types.ts';
import { codeBlock } from '../../ui/code.ts';
import { dialog } from '../../ui/dialog.ts';
import { h, html, type Markup } from '../../ui/html.ts';
import { icon } from '../../ui/icon.ts';
import { statusMark } from '../../ui/status.ts';
import { time } from '../../ui/time.ts';
import { showToast } from '../../ui/toast.ts';
import type { ModelData } from './model-data.ts';
import { moveProduction } from './production.ts';

interface VersionsProps {
  data: ModelData;
  changed: () => void;
}

type Open = { action: 'promote' | 'retire' | 'why'; version: Version } | null;

export function Versions({ data, changed }: VersionsProps): Markup {
  const [open, setOpen] = useState<Open>(null);
  const { model, versions } = data;
  const row = (version: Version): Markup => {
    const serving = version.version === model.default_version;
    const aliases = Object.entries(model.aliases).filter(([, target]) => target === version.version);
    return html`<tr key=${version.version}>
      <td class="strong lead">${version.version}</td>
      <td class="below">${statusMark(version.status)} ${aliases.map(([alias]) => html`<span class="pill chosen">${icon('promote')}${alias}</span>`)}${serving && aliases.length === 0 ? html`<span class="pill chosen">serving</span>` : null}</td>
      <td class=${`cut o2 ${version.status === 'failed' ? 'fail' : 'quiet'}`} title=${version.reason ?? version.row_independent_reason}>${version.reason ?? detailOf(version)}</td>
      <td class="mono quiet o1">${version.digest.slice(0, 12)}</td>
      <td class="num below2 quiet">${time(version.created_at)}</td>
      <td class="num end"><span class="row-actions">${actionsOf({ data, version, open: (action) => setOpen({ action, version }) })}</span></td>
    </tr>`;
  };
  return html`<div class="sheet"><div class="table cards"><table aria-label="Versions">
      <colgroup><col width="110" /><col width="210" /><col /><col class="o1" width="136" /><col width="110" /><col width="206" /></colgroup>
      <thead><tr><th scope="col">Version</th><th scope="col">State</th><th scope="col" class="o2">Details</th><th scope="col" class="o1">Digest</th><th scope="col" class="num">Added</th><th scope="col"><span class="sr">Actions</span></th></tr></thead>
      <tbody>${versions.map(row)}</tbody>
    </table></div></div>
    ${open === null ? null : openDialog(open, { data, changed, close: () => setOpen(null) })}`;
}

interface DialogProps extends VersionsProps {
  close: () => void;
}

function openDialog({ action, version }: NonNullable<Open>, props: DialogProps): Markup {
  if (action === 'promote') return h(PromoteDialog, { ...props, version });
  if (action === 'retire') return retireDialog({ ...props, version });
  return whyDialog(props.data, version, props.close);
}

interface RowActions {
  data: ModelData;
  version: Version;
  open: (action: NonNullable<Open>['action']) => void;
}

/** A version with an alias, and the version that serves, cannot be retired: another version must take over first. */
function actionsOf({ data, version, open }: RowActions): Markup {
  const { model } = data;
  const { status, version: name } = version;
  const isUsed = name === model.default_version || Object.values(model.aliases).includes(name);
  const isOlder = isOlderThanServing(data, version);
  const promote =
    status === 'ready' && model.aliases.production !== name
      ? html`<button class="button tiny" type="button" onClick=${() => open('promote')}>${icon(isOlder ? 'retry' : 'promote')}${isOlder ? 'Roll back…' : 'Promote…'}</button>`
      : null;
  const why =
    status === 'failed'
      ? html`<button class="button tiny" type="button" onClick=${() => open('why')}>View error</button>`
      : null;
  const retire =
    status === 'retired' || isUsed
      ? null
      : html`<button class="button tiny risk" type="button" aria-label=${`Retire version ${name}`} onClick=${() => open('retire')}>Retire…</button>`;
  return html`${why}${promote}${retire}`;
}

/** The versions are in order, newest first. */
function isOlderThanServing({ model, versions }: ModelData, { version }: Version): boolean {
  const at = (name: string | null) => versions.findIndex((known) => known.version === name);
  return model.default_version !== null && at(version) > at(model.default_version);
}

const detailOf = (version: Version): string =>
  [
    version.row_independent ? 'rows are independent' : 'rows run together',
    version.deterministic === false ? 'not deterministic' : '',
  ]
    .filter((text) => text !== '')
    .join(', ');

interface PromoteProps extends DialogProps {
  version: Version;
}

/** The dialog keeps the state that the reader saw, because the page reads the model again while the dialog is open. */
function PromoteDialog({ data, version, close, changed }: PromoteProps): Markup {
  const [seen] = useState(data);
  const { name, default_version: present, aliases } = seen.model;
  const isOlder = isOlderThanServing(seen, version);
  const promote = async () => {
    await moveProduction(name, version.version, aliases.production ?? null);
    showToast(`Version ${version.version} serves the requests now.`);
    changed();
  };
  return dialog({
    title: isOlder ? `Roll back to version ${version.version}?` : `Promote version ${version.version}?`,
    action: isOlder ? `Roll back to version ${version.version}` : `Promote version ${version.version}`,
    keep: present === null ? 'Do not promote' : `Keep version ${present}`,
    run: promote,
    close,
    children: html`<p>Within a second, requests that name no version go to <b class="strong">${version.version}</b>${present === null ? '' : ` instead of ${present}`}. Accepted predictions still
      run on their version, and cached outputs of another version are not used.</p>
      <dl class="pairs"><dt>Digest</dt><dd class="mono">${version.digest.slice(0, 12)}</dd>${present === null ? null : html`<dt>Roll back</dt><dd>Promote version ${present} again at any time</dd>`}</dl>`,
  });
}

function retireDialog({ data, version, close, changed }: PromoteProps): Markup {
  const { name } = data.model;
  const retire = async () => {
    const path = `/v1/models/${encodeURIComponent(name)}/versions/${encodeURIComponent(version.version)}/retire`;
    await call(path, { method: 'POST' });
    changed();
  };
  return dialog({
    title: `Retire version ${version.version} of ${name}?`,
    action: `Retire version ${version.version}`,
    keep: `Keep version ${version.version}`,
    risk: true,
    run: retire,
    close,
    children: html`<p>Requests that name version ${version.version} are refused from then on. <b class="strong">A retired version stays retired</b>: to serve its files again, add them as a new
      version.</p><dl class="pairs"><dt>Digest</dt><dd class="mono">${version.digest.slice(0, 12)}</dd><dt>Predictions</dt><dd>stay in the ledger</dd></dl>`,
  });
}

const whyDialog = ({ model }: ModelData, version: Version, close: () => void): Markup =>
  dialog({
    title: `Version ${version.version} is not in service`,
    close,
    children: html`<p>${model.default_version === null ? 'No version serves the model.' : `Version ${model.default_version} serves the model.`} Correct the files in place, and a worker loads the
        version again within seconds.</p>
      ${codeBlock({ text: version.reason ?? 'No reason is known.', label: 'Reason', className: 'boxed wrap' })}
      <dl class="pairs"><dt>Digest</dt><dd class="mono">${version.digest.slice(0, 12)}</dd><dt>Added</dt><dd>${time(version.created_at)}</dd></dl>`,
  });
