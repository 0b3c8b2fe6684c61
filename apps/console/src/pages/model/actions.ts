/** The actions on a whole model: its predictions, and the purge of its cache. */
import { useState } from 'preact/hooks';
import { href } from '../../core/address.ts';
import { call } from '../../core/api.ts';
import { dialog } from '../../ui/dialog.ts';
import { html, type Markup } from '../../ui/html.ts';
import { icon } from '../../ui/icon.ts';
import { showToast } from '../../ui/toast.ts';
import type { ModelData } from './model-data.ts';

interface ActionsProps {
  data: ModelData;
  changed: () => void;
}

export function Actions({ data, changed }: ActionsProps): Markup {
  const [clearing, setClearing] = useState(false);
  const { name } = data.model;
  const clear = async () => {
    await call(`/v1/models/${encodeURIComponent(name)}/cache`, { method: 'DELETE' });
    showToast(`The cache of ${name} is empty.`);
    changed();
  };
  return html`<a class="button" href=${href('/predictions', { model: name })}>${icon('predictions')}View predictions</a>
    <button class="button" type="button" onClick=${() => setClearing(true)}>Clear cache…</button>
    ${
      clearing
        ? dialog({
            title: `Clear the cache of ${name}?`,
            action: 'Clear cache',
            keep: 'Keep cache',
            risk: true,
            run: clear,
            close: () => setClearing(false),
            children: html`<p>Later requests compute their outputs again. Predictions in the ledger stay.</p>`,
          })
        : null
    }`;
}
