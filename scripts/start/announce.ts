import path from 'node:path';
import { curlLine, firstPrediction, firstQuestion } from './first-prediction.ts';
import type { Unserved } from './unserved.ts';

interface Announcement {
  baseUrl: string;
  /** As `model/version`. */
  versions: readonly string[];
  unserved: Unserved;
  dir: string;
  apiKeysRequired: boolean;
  /** How much the private Redis servers may take. */
  memory: string;
  say: (message: string) => void;
}

/** Makes the first prediction, when its model is here and nobody needs a key, and says where everything is. */
export async function announce(deps: Announcement): Promise<void> {
  const { baseUrl, versions, unserved, dir, apiKeysRequired, memory, say } = deps;
  const lines = [''];
  const models = [...new Set(versions.map((name) => name.split('/', 1)[0] as string))];
  const canAsk = models.includes(firstQuestion.model) && !apiKeysRequired;
  const answer = canAsk ? await firstPrediction(baseUrl, unserved) : undefined;
  if (answer) {
    const { drug_a: a, drug_b: b } = firstQuestion.input;
    lines.push(`First prediction: ${a} + ${b}, in ${answer.ms.toFixed(0)} ms (Cache-Status: ${answer.cacheStatus})`);
    lines.push(indent(JSON.stringify(answer.output, undefined, 2)), '');
  }
  lines.push(
    `Millrace serves ${models.filter((model) => !unserved.includes(model)).join(', ')}`,
    `  API        ${baseUrl}`,
    `  reference  ${baseUrl}/docs`,
    `  logs       ${path.join(path.relative(process.cwd(), dir), 'logs')}`,
  );
  if (memory) lines.push(`  memory     ${memory}`);
  const failed = unserved.lines();
  if (failed.length > 0) lines.push('', 'and does not serve:', ...failed);
  if (apiKeysRequired) lines.push('', 'It asks for an API key: npm run keys -- create default');
  if (answer) lines.push('', 'Ask it yourself (Ctrl-C ends all of it):', '', indent(curlLine(baseUrl)));
  lines.push('');
  say(lines.join('\n'));
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, '  ');
}
