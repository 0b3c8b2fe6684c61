/** Runs the model with the input of the form, and shows the output, the same request as code, and the last inputs. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { setQuery } from '../../core/address.ts';
import type { ApiProblem, Fault } from '../../core/api.ts';
import { asProblem } from '../../core/data.ts';
import { useShortcuts } from '../../core/shortcuts.ts';
import { resultOf, subjectOf } from '../../core/summary.ts';
import type { Version } from '../../core/types.ts';
import { html, type Markup } from '../../ui/html.ts';
import { emptyState } from '../../ui/states.ts';
import { codeSamples } from './code-samples.ts';
import { convert, type Draft, draftOf, firstDraft, keepInAddress } from './draft.ts';
import { fieldsOf } from './fields.ts';
import { fileRun } from './file-run.ts';
import { inputForm } from './form.ts';
import type { ModelData } from './model-data.ts';
import { addRecent, type Recent, readRecent } from './recent.ts';
import { resultPanel } from './result.ts';
import { DEFAULT_OPTIONS, type RunOptions, type RunResult, runModel } from './run.ts';

interface TryProps {
  data: ModelData;
  query: URLSearchParams;
}

interface Outcome {
  result?: RunResult;
  problem?: ApiProblem;
  /** The input of the result. */
  input: unknown;
}

export function Try({ data, query }: TryProps): Markup {
  const { model, versions, entities } = data;
  const version = versions.find((known) => known.version === model.default_version);
  if (version === undefined) return noVersion();
  return html`<${Running} key=${version.digest} data=${data} query=${query} version=${version} entities=${entities} />`;
}

const noVersion = (): Markup =>
  emptyState(
    'No version serves this model',
    html`<p>The tab Versions has the reason of each version.</p>`,
    html`<button class="button" type="button" onClick=${() => setQuery({ tab: 'versions' })}>Versions</button>`,
  );

interface RunningProps extends TryProps {
  version: Version;
  entities: string[];
}

function Running({ data, query, version, entities }: RunningProps): Markup {
  const { name } = data.model;
  const fields = useMemo(() => fieldsOf(version, entities), [version.digest, entities.join()]);
  const [recent, setRecent] = useState(() => readRecent(name));
  const [draft, setDraft] = useState(() => firstDraft({ fields, query, recent, version }));
  const [options, setOptions] = useState<RunOptions>(DEFAULT_OPTIONS);
  const [faults, setFaults] = useState<Record<string, string>>({});
  const [outcome, setOutcome] = useState<Outcome>();
  const [busy, setBusy] = useState(false);
  const stop = useRef<AbortController>(undefined);
  useEffect(() => () => stop.current?.abort(), []);

  const run = async (given: Draft = draft) => {
    const converted = convert(fields, given);
    if (converted.faults) {
      setFaults(converted.faults);
      return focusFault();
    }
    setFaults({});
    stop.current?.abort();
    const now = new AbortController();
    stop.current = now;
    setBusy(true);
    const { input } = converted;
    keepInAddress(fields, given);
    try {
      const body = { input };
      const show = (result: RunResult) => !now.signal.aborted && setOutcome({ result, input });
      const done = await runModel({ model: name, body, options, signal: now.signal, show });
      show(done);
      const { prediction } = done;
      if (prediction.status === 'succeeded')
        setRecent(
          addRecent(name, { input, subject: subjectOf({ ...prediction, input }), result: resultOf(prediction) ?? '' }),
        );
    } catch (error) {
      if (now.signal.aborted) return;
      const problem = asProblem(error);
      setFaults(faultsOf(problem.faults));
      setOutcome({ problem, input });
    } finally {
      if (!now.signal.aborted) setBusy(false);
    }
  };
  const choose = (input: unknown) => {
    const next = draftOf(fields, input);
    setDraft(next);
    void run(next);
  };
  useShortcuts({ 'ctrl+enter': () => void run() });
  const preview = convert(fields, draft).input;
  return html`<div class="try">
    ${inputForm({ model: name, data, fields, draft, setDraft, options, setOptions, faults, busy, run: () => void run() })}
    <div class="past">${recentList(recent, choose)}${fileRun({ model: name, version, fields, options })}</div>
    <div class="result">
      ${resultPanel({ version, outcome, busy, examples: version.examples, choose })}
      ${codeSamples({ model: name, options, input: preview ?? outcome?.input ?? version.examples[0] ?? {} })}
    </div>
  </div>`;
}

const focusFault = () =>
  requestAnimationFrame(() => document.querySelector<HTMLElement>('.try [aria-invalid="true"]')?.focus());

/** The faults of a refused request by the names of the fields. */
function faultsOf(faults: readonly Fault[]): Record<string, string> {
  const found: Record<string, string> = {};
  for (const { pointer = '', message } of faults) {
    const name = /^\/input\/([^/]+)/.exec(pointer)?.[1];
    if (name !== undefined) found[name.replaceAll('~1', '/').replaceAll('~0', '~')] ??= message;
  }
  return found;
}

function recentList(recent: readonly Recent[], choose: (input: unknown) => void): Markup {
  if (recent.length === 0) return null;
  return html`<section class="minor" aria-labelledby="recent-h"><h2 id="recent-h">Recent</h2>
    <ul class="recent">${recent.map(
      ({ input, subject, result }) =>
        html`<li><button type="button" class="cut" title=${subject} onClick=${() => choose(input)}>${subject}</button><span class="second">${result}</span></li>`,
    )}</ul></section>`;
}
