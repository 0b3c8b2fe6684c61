/** The HTML of the page. */
import type { Entry } from './app.ts';

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (character) => ESCAPES[character] ?? '');

const rowOf = ({ id, drugs, status, result }: Entry): string =>
  `<tr><td><code>${escapeHtml(id)}</code></td><td>${escapeHtml(drugs)}</td><td>${escapeHtml(status)}</td><td>${escapeHtml(result)}</td></tr>`;

export function renderPage(entries: readonly Entry[], problem = ''): string {
  const isWaiting = entries.some(({ status }) => status === 'queued');
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
${isWaiting ? '<meta http-equiv="refresh" content="1">' : ''}
<title>Drug interactions</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color-scheme: light dark; }
  form { display: flex; flex-wrap: wrap; gap: 0.5rem; align-items: end; }
  label { display: grid; }
  table { border-collapse: collapse; width: 100%; margin-top: 2rem; overflow-wrap: anywhere; }
  th, td { border-bottom: 1px solid #8886; padding: 0.4rem; text-align: left; }
</style>
<h1>Drug interactions</h1>
<form method="post" action="/predictions">
  <label>First drug <input name="drug_a" value="Warfarin" required maxlength="200"></label>
  <label>Second drug <input name="drug_b" value="Fluconazole" required maxlength="200"></label>
  <button>Predict</button>
</form>
${problem === '' ? '' : `<p role="alert">${escapeHtml(problem)}</p>`}
<table>
  <thead><tr><th>Prediction</th><th>Drugs</th><th>Status</th><th>Result</th></tr></thead>
  <tbody>${entries.map(rowOf).join('\n')}</tbody>
</table>
</html>
`;
}
