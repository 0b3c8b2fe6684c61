/** Sends a request to the API of this start. */
import { once } from 'node:events';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { http } from '@millrace/shared/process/node-http';

export interface JsonRequest {
  timeoutMs: number;
  headers?: Readonly<Record<string, string>>;
  /** With a body the request is a POST, otherwise a GET. */
  body?: string;
}

export interface JsonResponse {
  status: number;
  headers: IncomingHttpHeaders;
  json: unknown;
}

/**
 * Resolves to the response with its JSON. Rejects when the API does not respond in time, and for a response that is not JSON. `fetch` would
 * keep 5 MiB of its library in the memory of `npm start`, which makes only its first requests.
 */
export async function requestJson(url: string, { timeoutMs, headers, body }: JsonRequest): Promise<JsonResponse> {
  const sent = http.request(url, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { ...headers },
    signal: AbortSignal.timeout(timeoutMs),
    agent: false,
  });
  sent.end(body);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  return { status: response.statusCode ?? 0, headers: response.headers, json: JSON.parse(await text(response)) };
}
