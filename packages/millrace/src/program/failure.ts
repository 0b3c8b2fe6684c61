/** Prints the error of a command and returns the exit code. */
import { AbortError, ApiError, MillraceError } from '@millrace/client';
import { CommanderError } from 'commander';
import { CommandError, EXIT } from './exit-codes.ts';
import { harmless, type Output } from './output.ts';

/** `wantsJson`: the error is printed as JSON on standard error. */
export function reportError(error: unknown, { out, wantsJson }: { out: Output; wantsJson: boolean }): number {
  // Commander has printed the message and the usage.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  const code = exitCodeOf(error);
  if (wantsJson) out.note(JSON.stringify(jsonOf(error)));
  else for (const line of linesOf(error)) out.note(harmless(line));
  return code;
}

export function exitCodeOf(error: unknown): number {
  if (error instanceof CommandError) return error.exitCode;
  if (error instanceof AbortError) return EXIT.interrupted;
  if (error instanceof MillraceError && error.retryable) return EXIT.tryAgain;
  return EXIT.failed;
}

function jsonOf(error: unknown): unknown {
  if (error instanceof ApiError && error.problem) return error.problem;
  if (error instanceof MillraceError)
    return { code: error.code, detail: error.message, prediction_id: error.predictionId, retryable: error.retryable };
  return { code: error instanceof CommandError ? 'command_failed' : 'internal_error', detail: messageOf(error) };
}

function linesOf(error: unknown): string[] {
  if (error instanceof AbortError)
    return ['Interrupted.', ...(error.predictionId ? [`The prediction is ${error.predictionId}.`] : [])];
  const lines = [messageOf(error)];
  if (error instanceof ApiError) {
    for (const { pointer, name, message } of error.errors) {
      const place = pointer ?? name ?? '/';
      // The detail of a single fault often has the whole message.
      lines.push(error.message.includes(message) ? `  at ${place}` : `  ${place}: ${message}`);
    }
    if (error.suggestions.length > 0 && !lines.some((line) => line.includes('Did you mean')))
      lines.push(`Did you mean ${error.suggestions.join(', ')}?`);
    if (error.status === 401)
      lines.push('Set MILLRACE_API_KEY, or add a profile with a key: millrace profiles add NAME URL');
  }
  if (error instanceof MillraceError && error.predictionId && !lines[0]?.includes(error.predictionId))
    lines.push(`The prediction is ${error.predictionId}. Follow it: millrace watch ${error.predictionId}`);
  if (!(error instanceof MillraceError) && !(error instanceof CommandError) && error instanceof Error && error.stack)
    return [error.stack];
  return lines;
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
