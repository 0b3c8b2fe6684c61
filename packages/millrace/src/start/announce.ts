/** The text that `npm start` prints when all parts are ready. */
import path from 'node:path';
import type { CommandNames } from '../local/command-names.ts';
import { curlLine, firstPrediction, firstRequest } from './first-prediction.ts';
import type { Unserved } from './unserved.ts';

interface Announcement {
  baseUrl: string;
  /** Each version as `model/version`. */
  versions: readonly string[];
  unserved: Unserved;
  dir: string;
  modelsDir: string;
  apiKeysRequired: boolean;
  /** Whether the API serves the console. */
  hasConsole: boolean;
  /** Whether edited files are served as versions of their own. */
  watches: boolean;
  /** The memory limits of the private Redis servers, in words. */
  memory: string;
  names: CommandNames;
  say: (message: string) => void;
}

/** Makes the first prediction, unless the model is missing or an API key is required, and prints the addresses. */
export async function announce(deps: Announcement): Promise<void> {
  const { baseUrl, versions, unserved, dir, modelsDir, apiKeysRequired, hasConsole, watches, memory, names, say } =
    deps;
  const lines = [''];
  const models = [...new Set(versions.map((name) => name.split('/', 1)[0] as string))];
  const canPredict = models.includes(firstRequest.model) && !apiKeysRequired;
  const first = canPredict ? await firstPrediction(baseUrl, unserved) : undefined;
  if (first) {
    const { drug_a: a, drug_b: b } = firstRequest.input;
    lines.push(`First prediction: ${a} + ${b}, in ${first.ms.toFixed(0)} ms (Cache-Status: ${first.cacheStatus})`);
    lines.push(indent(JSON.stringify(first.output, undefined, 2)), '');
  }
  lines.push(
    models.length > 0
      ? `Millrace serves ${models.filter((model) => !unserved.includes(model)).join(', ')}`
      : `Millrace runs and serves no model yet: there is no model in ${modelsDir}.`,
    `  API        ${baseUrl}`,
    ...(hasConsole ? [`  console    ${baseUrl}/console`] : []),
    `  reference  ${baseUrl}/docs`,
    `  logs       ${path.join(path.relative(process.cwd(), dir), 'logs')}`,
  );
  if (memory) lines.push(`  memory     ${memory}`);
  if (watches) lines.push('', `An edited handler is served at once, as a version of its own: watching ${modelsDir}.`);
  if (models.length === 0)
    lines.push(
      '',
      'Add a model while Millrace runs (docs/models.md). Millrace serves the model without a restart:',
      '',
      `  ${names.models} add FILE.onnx --name NAME`,
      `  or copy the file to ${path.join(modelsDir, '<name>/<version>/model.onnx')}`,
    );
  const failed = unserved.lines();
  if (failed.length > 0) lines.push('', 'and does not serve:', ...failed);
  if (apiKeysRequired) lines.push('', `Requests need an API key. Create a key: ${names.keys} create default`);
  if (first) lines.push('', 'Send the same request yourself (Ctrl-C stops Millrace):', '', indent(curlLine(baseUrl)));
  lines.push('');
  say(lines.join('\n'));
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, '  ');
}
