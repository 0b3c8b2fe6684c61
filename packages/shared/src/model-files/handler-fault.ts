/** Describes an error that a handler has thrown, for the owner of the handler: the stage, the version, the line and the reason. */

/** The function of the handler that failed. */
export type HandlerStage = 'canonicalize' | 'encode' | 'decode';

export interface HandlerFault {
  stage: HandlerStage;
  /** Such as `handler.ts:12:5`. Undefined if no line of the handler is in the stack. */
  place: string | undefined;
  /** The pointer of an InputError that `encode` or `decode` has thrown. */
  pointer?: string | undefined;
}

/** A handler can put a whole input into its message. */
const MESSAGE_MAX = 500;
/** The handler is below the frames of the packages that it calls. */
const FRAMES = 50;

/** Keeps enough lines of each stack of this thread for `placeIn`. */
export function keepLongStacks(): void {
  Error.stackTraceLimit = Math.max(Error.stackTraceLimit, FRAMES);
}

// Node runs the files of a handler under their URL with the digest (handler-file.ts).
const FRAME = /^\s+at .*?([^/\\\s()?]+)\?handler=[0-9a-f]+:(\d+:\d+)\)?$/m;
/** A file that cannot be parsed is the first line of the stack. */
const SYNTAX = /^[^\n]*?([^/\\\s()?]+)\?handler=[0-9a-f]+:(\d+)\n/;

/** The file and the line of the handler in a stack: the innermost frame. Node keeps the lines of TypeScript. */
export function placeIn(stack: string, message = ''): string | undefined {
  const header = message === '' ? -1 : stack.indexOf(message);
  const [, file, line] =
    SYNTAX.exec(stack) ?? FRAME.exec(header < 0 ? stack : stack.slice(header + message.length)) ?? [];
  return file === undefined ? undefined : `${decoded(file)}:${line}`;
}

function decoded(file: string): string {
  try {
    return decodeURIComponent(file);
  } catch {
    return file;
  }
}

/** One sentence with the stage, the version, the line and the message of the handler. */
export function handlerFailure(
  { stage, place, pointer }: HandlerFault,
  { model, version }: { model: string; version: string },
  message: string,
): string {
  const where = place === undefined ? '' : ` at ${place}`;
  const at = pointer ? ` (input ${pointer.slice(0, MESSAGE_MAX)})` : '';
  return `${stage} in the handler of version ${version} of model '${model}' failed${where}${at}: ${message.slice(0, MESSAGE_MAX)}`;
}
