import path from 'node:path';
import { curlLine, firstPrediction, firstQuestion } from './first-prediction.ts';

interface Announcement {
  baseUrl: string;
  models: string[];
  dir: string;
  say: (message: string) => void;
}

/** Makes the first prediction, when its model is here, and says where everything is. */
export async function announce({ baseUrl, models, dir, say }: Announcement): Promise<void> {
  const lines = [''];
  if (models.includes(firstQuestion.model)) {
    const { output, cacheStatus, ms } = await firstPrediction(baseUrl);
    const { drug_a: a, drug_b: b } = firstQuestion.input;
    lines.push(`First prediction: ${a} + ${b}, in ${ms.toFixed(0)} ms (Cache-Status: ${cacheStatus})`);
    lines.push(indent(JSON.stringify(output, undefined, 2)), '');
  }
  lines.push(
    `Millrace serves ${models.join(', ')}`,
    `  API        ${baseUrl}`,
    `  reference  ${baseUrl}/docs`,
    `  logs       ${path.join(path.relative(process.cwd(), dir), 'logs')}`,
  );
  if (models.includes(firstQuestion.model))
    lines.push('', 'Ask it yourself (Ctrl-C ends all of it):', '', indent(curlLine(baseUrl)));
  lines.push('');
  say(lines.join('\n'));
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, '  ');
}
