/**
 * Serves the console: its page, its files, and the sign-in. The page and the files contain no data of a tenant, so they are
 * public. All data of the console come from the routes of `/v1`, which decide by the key or the session of each request.
 */
import { ApiError } from '@millrace/shared/errors';
import { sharedNow } from '@millrace/shared/postgres/clock';
import type { ConsoleSession } from '@millrace/shared/tenants/console-sessions';
import type { FastifyBaseLogger, FastifyReply } from 'fastify';
import { SESSION_COOKIE, sessionToken } from '../http/browser-requests.ts';
import type { App } from '../http/type-provider.ts';
import { type ConsoleAssets, openAssets } from './assets.ts';
import { type ConsolePage, consolePage } from './page.ts';
import * as routes from './route-schemas.ts';

export interface Sessions {
  /** Exchanges an API key for a session; undefined for a key that is not valid. */
  create(key: string): Promise<(ConsoleSession & { token: string }) | undefined>;
  find(token: string): Promise<ConsoleSession | undefined>;
  end(token: string): Promise<void>;
}

export interface ConsoleDeps {
  log: FastifyBaseLogger;
  /** The public URL without a final slash, or ''. */
  base: string;
  keysRequired: boolean;
  /** The URL of a trace, with `{trace_id}`; undefined without a store of traces. */
  traceUrl: string | undefined;
  sessions: Sessions;
}

const YEAR = 'public, max-age=31536000, immutable';
/** The path of a file below /console. */
const FILE = /^assets\/([^/]+)\/(.+)$/;
const ANYONE = { public: true } as const;

export function registerConsole(app: App, deps: ConsoleDeps): void {
  const base = deps.base === '' ? '' : new URL(deps.base).pathname.replace(/\/$/, '');
  registerPage(app, deps.log, base);
  registerSessions(app, deps, base);
}

function registerPage(app: App, log: FastifyBaseLogger, base: string): void {
  let opened: Promise<{ assets: ConsoleAssets; page: ConsolePage }> | undefined;
  const open = () => {
    opened ??= openAssets().then((assets) => ({ assets, page: consolePage(assets, base) }));
    // The next request tries again.
    opened.catch((error) => {
      opened = undefined;
      log.error({ err: error }, 'the files of the console could not be read');
    });
    return opened;
  };

  const sendPage = async (reply: FastifyReply) => {
    const { page } = await open();
    return reply
      .header('content-type', 'text/html; charset=utf-8')
      .header('content-security-policy', page.policy)
      .header('referrer-policy', 'same-origin')
      .header('cache-control', 'no-cache')
      .send(page.html);
  };
  const sendFile = async (reply: FastifyReply, { build, file, brotli }: FileRequest) => {
    const { assets } = await open();
    const asset = await assets.read(file);
    if (asset === undefined)
      throw new ApiError('not_found', `The console has no file '${file.slice(0, 100)}'. Open /console.`);
    // During a rolling upgrade a page of another version loads its files here too. No cache may keep them under that version.
    reply.header('cache-control', build === assets.build ? YEAR : 'no-store');
    reply.header('content-type', asset.type).header('vary', 'accept-encoding');
    if (brotli) reply.header('content-encoding', 'br');
    return reply.send(brotli ? asset.compressed : asset.body);
  };

  app.get('/console', { schema: routes.getConsole, config: ANYONE }, (_request, reply) => sendPage(reply));
  app.get('/console/*', { schema: routes.getConsolePage, config: ANYONE }, (request, reply) => {
    const path = request.params['*'];
    // A wrong address of a file must not be the page, which a browser would read as a script.
    if (path !== 'assets' && !path.startsWith('assets/')) return sendPage(reply);
    const [, build = '', file = path] = FILE.exec(path) ?? [];
    return sendFile(reply, { build, file, brotli: /\bbr\b/.test(request.headers['accept-encoding'] ?? '') });
  });
}

interface FileRequest {
  build: string;
  file: string;
  /** Whether the browser reads Brotli. */
  brotli: boolean;
}

function registerSessions(
  app: App,
  { base: publicUrl, keysRequired, traceUrl, sessions }: ConsoleDeps,
  base: string,
): void {
  const secure = publicUrl.startsWith('https:') ? '; Secure' : '';
  const cookie = (value: string, seconds: number) =>
    `${SESSION_COOKIE}=${value}; Path=${base}/; HttpOnly; SameSite=Strict; Max-Age=${seconds}${secure}`;
  const stateOf = (session: ConsoleSession | undefined) => ({
    keys_required: keysRequired,
    tenant: keysRequired ? (session?.tenant ?? null) : 'default',
    key_prefix: session?.prefix ?? null,
    expires_at: session === undefined ? null : new Date(Number(session.expiresAt)).toISOString(),
    trace_url: keysRequired && session === undefined ? null : (traceUrl ?? null),
  });

  app.get('/console/session', { schema: routes.getSession, config: ANYONE }, async (request, reply) => {
    const token = keysRequired ? sessionToken(request) : undefined;
    reply.header('cache-control', 'no-store');
    return stateOf(token === undefined ? undefined : await sessions.find(token));
  });

  app.post('/console/session', { schema: routes.createSession, config: ANYONE }, async (request, reply) => {
    const session = keysRequired ? await sessions.create(request.body.key) : undefined;
    if (keysRequired && session === undefined)
      throw new ApiError('unauthorized', 'This key is unknown, expired or revoked. Enter an API key of this server.');
    if (session) {
      const seconds = Math.max(1, Math.floor((Number(session.expiresAt) - sharedNow()) / 1_000));
      reply.header('set-cookie', cookie(session.token, seconds));
    }
    reply.header('cache-control', 'no-store');
    return stateOf(session);
  });

  app.delete('/console/session', { schema: routes.endSession, config: ANYONE }, async (request, reply) => {
    const token = sessionToken(request);
    if (token !== undefined) await sessions.end(token);
    return reply.header('set-cookie', cookie('', 0)).code(204).send();
  });
}
