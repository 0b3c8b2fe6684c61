/** The table of workers, with a link from each row to the worker. */
import { href } from '../core/address.ts';
import { count, megabytes, number } from '../core/format.ts';
import type { Engine, Worker } from '../core/operator-types.ts';
import { html, type Markup } from './html.ts';
import { icon } from './icon.ts';
import { statusMark } from './status.ts';
import { time } from './time.ts';

export interface WorkerTableProps {
  workers: readonly Worker[];
  /** The worker that is shown beside the table, which then has fewer columns. */
  chosen?: string | null;
  /** The table is a part of a sheet with other parts. */
  flush?: boolean;
}

export function workerTable({ workers, chosen = null, flush = false }: WorkerTableProps): Markup {
  const names = namesOf(workers);
  const wide = chosen === null;
  const columns = wide ? html`<col class="o2" /><col class="o2" width="204" />` : null;
  const heads = wide ? html`<th scope="col" class="o2">Engines, MB</th><th scope="col" class="o2">Roles</th>` : null;
  return html`<div class=${`table cards${flush ? ' flush' : ''}`}><table aria-label="Workers">
    <colgroup><col width=${wide ? '156' : undefined} /><col width="112" />${columns}<col class="o1" width="92" /><col width="84" /><col class="o1" width="72" /><col width="132" /></colgroup>
    <thead><tr><th scope="col">Worker</th><th scope="col">Status</th>${heads}<th scope="col" class="num o1">Memory, MB</th><th scope="col" class="num">Rows, /s</th><th scope="col" class="num o1">Held</th><th scope="col" class="num">Started</th></tr></thead>
    <tbody>${workers.map((worker) => row(worker, { names, chosen }))}</tbody>
  </table></div>`;
}

/** Success is quiet: a worker that runs has no turning ring. */
export const workerStatus = (status: string): Markup =>
  status === 'running' ? html`<span class="status ready">${icon('ok')}running</span>` : statusMark(status);

/** The names of hosts. Several workers of a host have the beginning of their ids, too. */
export function namesOf(workers: readonly Worker[]): ReadonlyMap<string, string> {
  const hosts = Map.groupBy(workers, ({ host }) => host);
  return new Map(
    workers.map(({ id, host }) => [id, (hosts.get(host)?.length ?? 0) > 1 ? `${host} ${id.slice(0, 6)}` : host]),
  );
}

interface RowProps {
  names: ReadonlyMap<string, string>;
  chosen: string | null;
}

function row(worker: Worker, { names, chosen }: RowProps): Markup {
  const { id, status, roles, memory_bytes, rows_per_s, held, started_at, seen_at } = worker;
  const text = roles.join(', ');
  return html`<tr key=${id} class=${chosen === id ? 'now' : undefined}>
    <td class="lead cut"><a class="row-link" href=${href('/workers', { worker: id })} title=${id} aria-current=${chosen === id ? 'true' : undefined}>${names.get(id)}</a></td>
    <td class="below">${workerStatus(status)}</td>
    ${chosen === null ? html`<td class="cut o2" title=${enginesText(worker)}>${engines(worker)}</td><td class="second o2 cut" title=${text}>${text}</td>` : null}
    <td class="num o1">${megabytes(memory_bytes)}</td>
    <td class="num end" data-unit="rows/s">${rows_per_s === 0 ? html`<span class="zero">0</span>` : number(rows_per_s)}</td>
    <td class="num o1">${held === 0 ? html`<span class="zero">0</span>` : count(held)}</td>
    <td class="num below2 quiet">${status === 'stale' ? html`seen ${time(seen_at)}` : time(started_at)}</td>
  </tr>`;
}

/** The loaded versions. An engine without a version does not use much memory. */
const loaded = ({ engines: all }: Worker): Engine[] => all.filter(({ model }) => model !== null);

const enginesText = (worker: Worker): string =>
  loaded(worker)
    .map(
      ({ model, version, memory_bytes }) =>
        `${model} ${version}${memory_bytes === null ? '' : ` ${megabytes(memory_bytes)} MB`}`,
    )
    .join(', ');

function engines(worker: Worker): Markup {
  const shown = loaded(worker);
  if (shown.length === 0) return html`<span class="zero">none loaded</span>`;
  return shown.map(
    ({ model, memory_bytes }, at) =>
      html`${at === 0 ? '' : ', '}${model}${memory_bytes === null ? '' : html` <span class="quiet">${megabytes(memory_bytes)}</span>`}`,
  );
}
