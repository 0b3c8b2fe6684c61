/** Reports the failure of a command that runs on this machine. */
import { ApiError } from '@millrace/shared/errors';
import { ModelFileError } from '@millrace/shared/model-files/model-config';
import { PostgresError } from '@millrace/shared/postgres/postgres-error';
import { ConfigError } from '@millrace/shared/process/config';
import { Refusal } from './command-line.ts';

const FOR_OPERATOR = [Refusal, ApiError, ModelFileError, PostgresError, ConfigError];

/** Prints the failure of a command and sets the exit code: 2 for a wrong command line, 1 for every other failure. */
export function reportFailure(error: unknown): void {
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  // An error that the operator can correct needs no stack.
  const isForOperator = FOR_OPERATOR.some((kind) => error instanceof kind) || / cannot be reached: /.test(message);
  process.stderr.write(`${isForOperator ? message : stack}\n`);
  process.exitCode = error instanceof Refusal ? error.exitCode : 1;
}
