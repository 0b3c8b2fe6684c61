/**
 * `npm run test:drill [-- --only name,name --scale N --no-report]` injects each incident into a running system with a Prometheus.
 * Each incident must raise its own alert in time and no alert of another cause, write at most 60 log lines a minute in each process,
 * and be named by its signals. `--scale` divides the durations of the alerts (10 by default). Needs Debian's package prometheus.
 */
import path from 'node:path';
import { parseArgs } from 'node:util';
import { type Servers, startServers } from '../chaos/servers.ts';
import { hasPrometheus } from '../support/prometheus.ts';
import type { Incident } from './incident.ts';
import { handlerIncidents } from './incidents/handlers.ts';
import { modelIncidents } from './incidents/models.ts';
import { processIncidents } from './incidents/processes.ts';
import { storeIncidents } from './incidents/stores.ts';
import { trafficIncidents } from './incidents/traffic.ts';
import { writeDrillModels } from './models.ts';
import { type Played, play } from './play.ts';
import { writeReport } from './report.ts';
import { scaleRules } from './scaled-rules.ts';

const incidents: readonly Incident[] = [
  ...modelIncidents,
  ...trafficIncidents,
  ...handlerIncidents,
  ...storeIncidents,
  ...processIncidents,
];

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    scale: { type: 'string', default: '10' },
    'no-report': { type: 'boolean', default: false },
  },
});
const only = values.only?.split(',').filter(Boolean) ?? [];
const names = incidents.map(({ name }) => name);
const unknown = only.filter((name) => !names.includes(name));
if (unknown.length > 0) throw new Error(`There is no incident ${unknown.join(', ')}. Use one of ${names.join(', ')}.`);
const scale = Number(values.scale);
if (!(scale >= 1)) throw new Error(`--scale must be a number from 1 on, and is '${values.scale}'.`);
if (!hasPrometheus()) throw new Error("The drill needs 'prometheus' on the PATH: apt-get install prometheus.");

const chosen = incidents.filter(({ name }) => only.length === 0 || only.includes(name));
const results: Played[] = [];
const servers = await startServers(console.log);
try {
  await writeDrillModels(path.join(servers.dir, 'models'));
  for (const incident of chosen) {
    const result = await playOn(servers, incident);
    results.push(result);
    show(result);
    if (!values['no-report']) writeReport(results, names);
  }
} finally {
  await servers.close();
}
const bad = results.filter(({ problems }) => problems.length > 0).map(({ name }) => name);
console.log(bad.length === 0 ? `All ${results.length} clean.` : `Not clean: ${bad.join(', ')}.`);
process.exit(bad.length === 0 ? 0 : 1);

async function playOn(on: Servers, incident: Incident): Promise<Played> {
  try {
    return await play(incident, { servers: on, rules: scaleRules(scale) });
  } catch (error) {
    const problems = [`could not run: ${(error as Error).message}`];
    return {
      name: incident.name,
      how: incident.how,
      alert: incident.alert.name,
      alertS: null,
      effects: [],
      lines: 0,
      problems,
    };
  }
}

function show({ name, alert, alertS, effects, lines, problems }: Played): void {
  const fired = alertS === null ? 'did not fire' : `after ${alertS} s`;
  const also = effects.length > 0 ? `, also ${effects.join(', ')}` : '';
  console.log(`${problems.length === 0 ? 'ok ' : 'BAD'} ${name}: ${alert} ${fired}${also}; ${lines} lines a minute`);
  for (const problem of problems) console.log(`      ${problem}`);
}
