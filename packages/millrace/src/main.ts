/** The command line `millrace`. */
import { Command } from 'commander';
import { addLocalCommands } from './local-commands.ts';

const program = new Command('millrace').description('Serves ONNX models through a queue.');
addLocalCommands(program);
await program.parseAsync();
