/** A dropped CSV or JSONL file: its rows run as one prediction, the outputs appear as a table, and can be downloaded. */
import { useRef, useState } from 'preact/hooks';
import { href } from '../../core/address.ts';
import type { ApiProblem } from '../../core/api.ts';
import { asProblem } from '../../core/data.ts';
import { counted, duration } from '../../core/format.ts';
import type { Prediction, Version } from '../../core/types.ts';
import { h, html, type Markup } from '../../ui/html.ts';
import { icon } from '../../ui/icon.ts';
import { problemState } from '../../ui/states.ts';
import type { Field } from './fields.ts';
import { csvOf, FileFault, jsonlOf, parseRows, tableOf } from './file-rows.ts';
import { type RunOptions, runModel } from './run.ts';

/** 1,000 rows of a few names fit many times. */
const FILE_MAX = 8_000_000;

interface FileRunProps {
  model: string;
  version: Version;
  fields: readonly Field[] | null;
  options: RunOptions;
}

interface Outcome {
  name: string;
  inputs: unknown[];
  prediction?: Prediction;
  problem?: ApiProblem;
  fault?: string;
}

function FileRun({ model, version, fields, options }: FileRunProps): Markup {
  const [over, setOver] = useState(false);
  const [outcome, setOutcome] = useState<Outcome>();
  const input = useRef<HTMLInputElement>(null);
  const use = async (file: File | undefined | null) => {
    if (!file) return;
    const { name } = file;
    let inputs: unknown[] = [];
    try {
      if (file.size > FILE_MAX) throw new FileFault(`${name} has more than 8 MB. Split the file.`);
      inputs = parseRows(name, await file.text(), { fields, version });
      setOutcome({ name, inputs });
      const show = ({ prediction }: { prediction: Prediction }) => setOutcome({ name, inputs, prediction });
      await runModel({ model, body: { inputs, on_error: 'row' }, options, signal: new AbortController().signal, show });
    } catch (error) {
      setOutcome(
        error instanceof FileFault
          ? { name, inputs, fault: error.message }
          : { name, inputs, problem: asProblem(error) },
      );
    }
  };
  const onDrop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    void use(event.dataTransfer?.files[0]);
  };
  return html`<section class="minor" aria-label="Run a file">
    <button class=${`drop${over ? ' over' : ''}`} type="button" onClick=${() => input.current?.click()} onDrop=${onDrop}
      onDragOver=${(event: DragEvent) => {
        event.preventDefault();
        setOver(true);
      }} onDragLeave=${() => setOver(false)}>
      ${icon('bulk')}<span>Drop a CSV or JSONL file to run up to 1,000 rows</span></button>
    <input type="file" class="sr" tabindex="-1" aria-hidden="true" accept=".csv,.tsv,.jsonl,.ndjson" ref=${input} onChange=${(event: Event) => use((event.currentTarget as HTMLInputElement).files?.[0])} />
    ${outcome === undefined ? null : h(FileResult, { outcome, close: () => setOutcome(undefined) })}
  </section>`;
}

export const fileRun = (props: FileRunProps): Markup => h(FileRun, props);

function FileResult({ outcome, close }: { outcome: Outcome; close: () => void }): Markup {
  const box = useRef<HTMLDialogElement>(null);
  const open = (element: HTMLDialogElement | null) => {
    box.current = element;
    if (element !== null && !element.open) element.showModal();
  };
  const { name, inputs } = outcome;
  return html`<dialog class="dialog wide" aria-labelledby="file-title" ref=${open} onClose=${close}>
    <form method="dialog">
      <header><h2 id="file-title">${titleOf(outcome)}</h2></header>
      <div class="dialog-body" aria-live="polite">${bodyOf(outcome)}</div>
      <footer>${downloads(outcome)}<button class="button" value="close" autofocus>Close</button></footer>
    </form>
    <p class="sr">${name}, ${counted(inputs.length, 'row')}</p>
  </dialog>`;
}

function titleOf({ name, inputs, prediction, problem, fault }: Outcome): string {
  if (fault !== undefined || problem !== undefined) return `${name} did not run`;
  if (prediction?.status === 'succeeded') {
    const failed = prediction.row_errors?.length ?? 0;
    return failed === 0
      ? `${counted(inputs.length, 'row')} scored`
      : `${inputs.length - failed} of ${counted(inputs.length, 'row')} scored`;
  }
  return prediction === undefined || prediction.error === null
    ? `Running ${counted(inputs.length, 'row')}`
    : `${name}: ${prediction.error.title}`;
}

function bodyOf({ inputs, prediction, problem, fault }: Outcome): Markup {
  if (fault !== undefined) return html`<div class="notice failed" role="alert">${icon('fail')}<p>${fault}</p></div>`;
  if (problem !== undefined) return problemState(problem, () => {});
  if (prediction === undefined || prediction.status !== 'succeeded')
    return html`<p>${prediction?.error?.detail ?? 'The page follows the prediction until its end.'}</p>`;
  const { head, rows } = tableOf(inputs, prediction);
  return html`<p class="second">${duration(prediction.metrics.total_ms)} in total, cache ${prediction.cache}. <a href=${href(`/predictions/${prediction.id}`)}>View prediction</a></p>
    <div class="table flush items" tabindex="0" role="region" aria-label="Outputs"><table>
      <thead><tr>${head.map((word) => html`<th scope="col">${word}</th>`)}</tr></thead>
      <tbody>${rows.map((row) => html`<tr class=${row.failed ? 'row-failed' : ''}>${row.cells.map((text) => html`<td class="cut" title=${text}>${text}</td>`)}</tr>`)}</tbody>
    </table></div>`;
}

function downloads({ name, inputs, prediction }: Outcome): Markup {
  if (prediction?.status !== 'succeeded') return null;
  const stem = name.replace(/\.\w+$/, '');
  const link = (text: string, file: string, type: string) =>
    html`<a class="button" download=${file} href=${`data:${type};charset=utf-8,${encodeURIComponent(text)}`}>${icon('download')}${file.split('.').at(-1)?.toUpperCase()}</a>`;
  return [
    link(csvOf(inputs, prediction), `${stem}-outputs.csv`, 'text/csv'),
    link(jsonlOf(inputs, prediction), `${stem}-outputs.jsonl`, 'application/x-ndjson'),
    html`<span class="push"></span>`,
  ];
}
