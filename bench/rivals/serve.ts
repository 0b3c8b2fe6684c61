import type { FastifyInstance } from 'fastify';

/** Listens on PORT, prints `ready` for the program that starts the rival, and closes on SIGTERM. */
export async function serve(app: FastifyInstance, close?: () => Promise<unknown>): Promise<void> {
  await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT ?? 8080), backlog: 4_096 });
  process.once('SIGTERM', async () => {
    await app.close();
    await close?.();
    process.exit(0);
  });
  console.log('ready');
}
