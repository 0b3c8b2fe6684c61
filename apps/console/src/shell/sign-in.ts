/** Exchanges an API key for a cookie that scripts cannot read. */
import { useEffect, useState } from 'preact/hooks';
import { go } from '../core/address.ts';
import { call } from '../core/api.ts';
import { asProblem } from '../core/data.ts';
import { html, type Markup } from '../ui/html.ts';
import { icon, mark } from '../ui/icon.ts';

interface SignInProps {
  /** The address after the sign-in. */
  to: string;
  done: () => void;
}

export function SignIn({ to, done }: SignInProps): Markup {
  const [key, setKey] = useState('');
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<string>();
  useEffect(() => {
    document.title = 'Sign in · Millrace';
  }, []);
  const submit = async (event: Event) => {
    event.preventDefault();
    if (key.trim() === '') return setFailure('Enter an API key.');
    setBusy(true);
    try {
      await call('/console/session', { method: 'POST', body: { key: key.trim() } });
      go(to, { replace: true });
      done();
    } catch (error) {
      const { code, message } = asProblem(error);
      setFailure(code === 'invalid_request' ? 'This is not an API key.' : message);
      setBusy(false);
    }
  };
  return html`<div class="door">
    <main>
      <p class="brand">${mark()}Millrace</p>
      <h1>Sign in</h1>
      <p class="second">Use an API key of this server. The browser stores a session of at most 12 hours, and not the key.</p>
      <form onSubmit=${submit} novalidate>
        <div class="field">
          <label for="key">API key</label>
          <input class="input mono" id="key" type="password" autocomplete="current-password" placeholder="mrk_…" spellcheck="false"
            aria-describedby="key-hint" aria-invalid=${failure === undefined ? undefined : 'true'} value=${key} autofocus
            onInput=${(event: InputEvent) => setKey((event.currentTarget as HTMLInputElement).value)} />
          ${
            failure === undefined
              ? html`<p class="hint" id="key-hint">The console shows only the data of the key's tenant.</p>`
              : html`<p class="hint fail" id="key-hint" role="alert">${icon('fail')}<span>${failure}</span></p>`
          }
        </div>
        <button class="button main" type="submit" disabled=${busy}>Sign in</button>
      </form>
    </main>
    ${water()}
  </div>`;
}

/** Four waves, each wider and fainter than the wave above. */
const water =
  (): Markup => html`<svg class="water" viewBox="0 0 1440 120" preserveAspectRatio="xMidYMid slice" aria-hidden="true">
  ${[30, 40, 52.5, 70].map((half, row) => html`<path d=${`M-20 ${40 + 22 * row}q${half} ${-(7 + 2 * row)} ${2 * half} 0${`t${2 * half} 0`.repeat(Math.ceil(740 / half))}`} />`)}
</svg>`;
