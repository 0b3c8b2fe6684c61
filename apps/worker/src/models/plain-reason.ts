/** Turns error messages of onnxruntime into short reasons for the owner of a model. */
import { dirname } from 'node:path';
import type { FoundVersion } from '@millrace/shared/model-files/read-version';

/** The message without onnxruntime's source files, the paths of this machine and repeated words. At most 500 characters. */
export function plainReason(message: string, found: FoundVersion): string {
  const text = message
    .replaceAll(dirname(found.modelPath), found.version)
    .replace(/Load model from \S+ failed:\s*/, '')
    .replace(/\/\S+\.(?:cc|h):\d+ .*?\) (?=[A-Z])/, '')
    .replace(/\/\S+\.(?:cc|h):\d+ /, '')
    .trim();
  return (inFewWords(text) ?? text).slice(0, 500);
}

/** One sentence for each of the most frequent faults, which onnxruntime describes at length. */
function inFewWords(text: string): string | undefined {
  const opset = /Opset (\d+) is under development.*support for domain (\S+) is till opset (\d+)/s.exec(text);
  if (opset)
    return `it needs operator set ${opset[1]} of ${opset[2]}, and this onnxruntime has them up to ${opset[3]}.`;
  const operator = /No Op registered for (\S+) with domain_version of (\d+)/.exec(text);
  if (operator) return `its operator "${operator[1]}" is not in operator set ${operator[2]}, which it names.`;
  const unknown = /Fatal error: (\S+)\(-?\d+\) is not a registered function\/op/.exec(text);
  return unknown ? `its operator "${unknown[1]}" is none that this onnxruntime has.` : undefined;
}
