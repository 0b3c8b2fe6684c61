/** `node:http` for processes that must stay small: all other modules of product code import `http` from this file. */

/**
 * The module `node:http`. An `import` of `node:http` reads every export of the module, and the export `WebSocket` loads the client of
 * `fetch`: each process then holds 4 MiB more of its own, and the processes together 5 MiB more of the Node program.
 */
export const http = process.getBuiltinModule('node:http');
