/** The webhook deliveries of a prediction. */
import { href } from '../../core/address.ts';
import type { Delivery, List } from '../../core/types.ts';
import { html, type Markup } from '../../ui/html.ts';
import { statusMark } from '../../ui/status.ts';
import { time } from '../../ui/time.ts';

export function deliveriesSheet(predictionId: string, { data, has_more }: List<Delivery>): Markup {
  if (data.length === 0) return null;
  return html`<section class="sheet" aria-labelledby="deliveries-h">
    <div class="sheet-head"><h2 id="deliveries-h">Deliveries</h2>${has_more ? html`<a class="push small" href=${href('/webhooks', { prediction: predictionId })}>All deliveries</a>` : null}</div>
    <div class="table flush cards"><table aria-label="Deliveries">
      <colgroup><col width="136" /><col /><col width="168" class="o2" /><col width="96" class="o2" /><col width="96" /><col width="120" /></colgroup>
      <thead><tr><th scope="col">Status</th><th scope="col">Endpoint</th><th scope="col" class="o2">Event</th><th scope="col" class="num o2">Attempts</th><th scope="col" class="num">Response</th><th scope="col" class="num">Last attempt</th></tr></thead>
      <tbody>${data.map(row)}</tbody>
    </table></div>
  </section>`;
}

function row({ id, status, url, event, attempts }: Delivery): Markup {
  const last = attempts.at(-1);
  return html`<tr key=${id}>
    <td class="below">${statusMark(status)}</td>
    <td class="lead cut"><a class="row-link" href=${href('/webhooks', { delivery: id })} title=${url}>${url}</a></td>
    <td class="second o2">${event.type}</td>
    <td class="num o2">${attempts.length}</td>
    <td class=${`num below2 ${last?.error ? 'fail' : ''}`}>${last?.http_status ?? last?.error?.code ?? '–'}</td>
    <td class="num quiet end">${time(last?.started_at)}</td>
  </tr>`;
}
