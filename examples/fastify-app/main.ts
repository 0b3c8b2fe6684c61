/** Starts the app with the settings of the environment. */
import { createApp } from './app.ts';

const {
  MILLRACE_URL = 'http://localhost:8080',
  MILLRACE_API_KEY,
  MILLRACE_WEBHOOK_SECRET,
  PORT = '3000',
} = process.env;
if (!MILLRACE_WEBHOOK_SECRET) {
  console.error(
    'Set MILLRACE_WEBHOOK_SECRET to the secret of POST /v1/webhook-secret/rotate. README.md has the command.',
  );
  process.exit(2);
}
const app = await createApp({
  millraceUrl: MILLRACE_URL,
  ...(MILLRACE_API_KEY ? { apiKey: MILLRACE_API_KEY } : {}),
  secret: MILLRACE_WEBHOOK_SECRET,
  appUrl: process.env.APP_URL ?? `http://127.0.0.1:${PORT}`,
});
await app.listen({ port: Number(PORT), host: '127.0.0.1' });
console.log(`The app is at http://localhost:${PORT}`);
