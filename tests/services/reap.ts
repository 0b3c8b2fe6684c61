// `node reap.ts <container id>...` removes the containers when the parent process has ended, even by SIGKILL: the
// kernel then closes the pipe to standard input.
import { engineAddress, engineCall } from './engine.ts';

process.stdin.resume();
process.stdin.once('close', async () => {
  const address = engineAddress(process.env);
  if (!address) return;
  const remove = (id: string) => engineCall(address, 'DELETE', `/containers/${id}?force=true&v=true`, 30_000);
  await Promise.all(process.argv.slice(2).map(remove));
});
