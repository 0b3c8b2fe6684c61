/** The input and the output of a prediction. */
import type { Prediction } from '../../core/types.ts';
import { jsonBlock } from '../../ui/code.ts';
import { html, type Markup } from '../../ui/html.ts';

export function inputOutput(prediction: Prediction): Markup {
  const { input, inputs, output, outputs, status, row_errors } = prediction;
  const given = input ?? inputs;
  const result = output ?? outputs;
  const noInput = status === 'succeeded' ? 'Millrace keeps no input after a success.' : 'The input is not stored.';
  const noOutput = status === 'succeeded' ? 'The output is null.' : 'No output.';
  return html`<section class="sheet split" aria-label="Input and output">
    <div><div class="code-head"><h2>Input</h2></div>${given === null || given === undefined ? html`<p class="sheet-body quiet">${noInput}</p>` : jsonBlock(given, 'Input')}</div>
    <div><div class="code-head"><h2>Output</h2>${row_errors && row_errors.length > 0 ? html`<p class="push fail small">${row_errors.length} rows failed</p>` : null}</div>${result === null || result === undefined ? html`<p class="sheet-body quiet">${noOutput}</p>` : jsonBlock(result, 'Output')}</div>
  </section>`;
}
