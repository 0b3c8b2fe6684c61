/** Forwards the events of the feed to a program on this machine, signed as the server signs its deliveries. */
import { createHmac, randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { ConnectionError } from '@millrace/client';
import type { Context } from '../program/context.ts';
import { CommandError, EXIT } from '../program/exit-codes.ts';

export interface ListenOptions {
  url: string;
  fromStart: boolean;
}

const PAUSE_MS = 1_000;
const PAGE = 1_000;
const TIMEOUT_MS = 15_000;
const SECRET_PREFIX = 'whsec_';

/** Runs until Ctrl-C. An event that the program refuses is reported and not sent again: the feed still has the event. */
export async function listen(context: Context, { url, fromStart }: ListenOptions): Promise<void> {
  const { out, signal } = context;
  if (!/^https?:$/.test(URL.canParse(url) ? new URL(url).protocol : ''))
    throw new CommandError(`'${url}' is not a URL. Expected such as http://127.0.0.1:3000/webhook.`, EXIT.usage);
  const secret = process.env.MILLRACE_WEBHOOK_SECRET || `${SECRET_PREFIX}${randomBytes(24).toString('base64')}`;
  const start = fromStart ? undefined : await endOfFeed(context);
  out.note(`Forwarding new events to ${url}. Ctrl-C ends the command.`);
  if (!process.env.MILLRACE_WEBHOOK_SECRET) out.note(`The secret of the signatures is ${secret}`);
  for (let cursor = start; !signal.aborted; ) {
    const page = await readPage(context, cursor);
    if (page === undefined) break;
    for (const event of page.data) {
      const { cursor: place, ...body } = event;
      const outcome = await forward({ url, secret, id: event.id, body: JSON.stringify(body), signal });
      if (signal.aborted) return;
      out.result({ ...body, outcome }, () => `${body.timestamp}  ${body.type}  ${body.data.id}  ${outcome}`);
    }
    cursor = page.next ?? cursor;
    if (!page.has_more) await delay(PAUSE_MS, undefined, { signal }).catch(() => {});
  }
}

/** Reads a page; undefined after Ctrl-C. A server that restarts is awaited. */
async function readPage({ millrace, out, signal }: Context, cursor: string | undefined) {
  for (;;) {
    try {
      return await millrace.webhooks.events({ cursor, limit: PAGE, signal }).page();
    } catch (error) {
      if (signal.aborted) return undefined;
      if (!(error instanceof ConnectionError)) throw error;
      out.note(`${error.message} Trying again.`);
      await delay(PAUSE_MS, undefined, { signal }).catch(() => {});
    }
  }
}

async function endOfFeed({ millrace, signal }: Context): Promise<string | undefined> {
  let cursor: string | undefined;
  for await (const { next } of millrace.webhooks.events({ limit: PAGE, signal }).pages()) cursor = next ?? cursor;
  return cursor;
}

interface Forward {
  url: string;
  secret: string;
  id: string;
  body: string;
  signal: AbortSignal;
}

/** Sends one event. Returns the status of the response, or the reason for the missing response. */
async function forward({ url, secret, id, body, signal }: Forward): Promise<string> {
  const timestamp = String(Math.floor(Date.now() / 1_000));
  try {
    const key = Buffer.from(secret.startsWith(SECRET_PREFIX) ? secret.slice(SECRET_PREFIX.length) : secret, 'base64');
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'webhook-id': id,
        'webhook-timestamp': timestamp,
        'webhook-signature': `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`,
      },
      body,
      redirect: 'manual',
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    await response.body?.cancel();
    return String(response.status);
  } catch (error) {
    const { message, cause } = error as Error;
    return cause instanceof Error ? `${message} (${cause.message})` : message;
  }
}
