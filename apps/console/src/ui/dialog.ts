/** A dialog that states the effect of an action before the action. The browser traps and restores the focus. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { asProblem } from '../core/data.ts';
import { h, html, type Markup } from './html.ts';
import { icon } from './icon.ts';

export interface DialogProps {
  title: string;
  /** The button of the action: a verb and the object. Without an action the dialog only informs. */
  action?: string;
  /** The safe choice, which has the focus. */
  keep?: string;
  risk?: boolean;
  children: Markup;
  /** A failure stays in the dialog with its reason. */
  run?: () => Promise<void>;
  close: () => void;
}

function Dialog({ title, action, keep = 'Close', risk = false, children, run, close }: DialogProps): Markup {
  const dialog = useRef<HTMLDialogElement>(null);
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<string>();
  useEffect(() => dialog.current?.showModal(), []);
  const act = async () => {
    setBusy(true);
    setFailure(undefined);
    try {
      await run?.();
      dialog.current?.close();
    } catch (error) {
      setFailure(asProblem(error).message);
      setBusy(false);
    }
  };
  const onBackdrop = (event: MouseEvent) => {
    if (event.target === dialog.current && !busy) dialog.current?.close();
  };
  return html`<dialog class="dialog" aria-labelledby="dialog-title" ref=${dialog} onClose=${close} onClick=${onBackdrop}>
    <form method="dialog">
      <header><h2 id="dialog-title">${title}</h2></header>
      <div class="dialog-body">
        ${children}
        ${failure === undefined ? null : html`<div class="notice failed" role="alert">${icon('fail')}<p>${failure}</p></div>`}
      </div>
      <footer>
        <button class="button" value="no" autofocus>${keep}</button>
        ${action === undefined ? null : html`<button class=${`button ${risk ? 'risk' : 'main'}`} type="button" disabled=${busy} onClick=${act}>${action}</button>`}
      </footer>
    </form>
  </dialog>`;
}

export const dialog = (props: DialogProps): Markup => h(Dialog, props);
