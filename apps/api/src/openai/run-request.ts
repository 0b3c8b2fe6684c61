/** The parts of every route of this folder: running the inputs of a request, and sending a long response in pieces. */
import { Readable } from 'node:stream';
import { ApiError } from '@millrace/shared/errors';
import type { ModelVersion } from '@millrace/shared/registry/registry-types';
import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from 'fastify';
import { disconnectSignal } from '../http/client-disconnect.ts';
import type { Catalog } from '../models/catalog.ts';
import type { CreatePrediction } from '../predictions/create-prediction.ts';
import { DisconnectedError, runInputs, type UseOutput } from './run-inputs.ts';

export interface ProtocolDeps {
  catalog: Pick<Catalog, 'models' | 'serving'>;
  createPrediction: CreatePrediction;
  tenantOf(request: FastifyRequest): string;
  /** The methods of a path, as sent. Empty for a path that has no route. */
  methodsOf(target: string): string[];
  log: FastifyBaseLogger;
  limits: { maxRows: number };
}

export interface RequestRun {
  request: FastifyRequest;
  reply: FastifyReply;
  tenant: string;
  version: ModelVersion;
  inputs: readonly unknown[];
  /** Whether the request has a list of inputs, and not a single input. */
  listed: boolean;
}

/** Calls `use` with each output. Resolves to false when the client has closed the connection. Rejects with ApiError. */
export async function run(
  { createPrediction }: ProtocolDeps,
  { request, reply, tenant, version, inputs, listed }: RequestRun,
  use: UseOutput,
): Promise<boolean> {
  const signal = disconnectSignal(reply, true);
  try {
    await runInputs(createPrediction, { tenant, version, inputs, listed, signal, trace: request.trace }, use);
    return true;
  } catch (error) {
    if (!(error instanceof DisconnectedError)) throw error;
    reply.raw.destroy();
    return false;
  }
}

export interface Pieces {
  begin: string;
  /** JSON texts, which commas separate. */
  items: readonly string[];
  end: string;
}

/** The characters of one write. */
const WRITE_CHARS = 262_144;
/** A request with more output must be divided. */
const RESPONSE_CHARS_MAX = 128 * 1_048_576;

/** Sends JSON text. A long text is written in parts, so that no turn of the event loop copies all of it. */
export function sendPieces(reply: FastifyReply, { begin, items, end }: Pieces): FastifyReply {
  const length = items.reduce((sum, item) => sum + item.length + 1, begin.length + end.length);
  if (length > RESPONSE_CHARS_MAX)
    throw new ApiError(
      'payload_too_large',
      `The response has more than ${RESPONSE_CHARS_MAX} characters: send fewer inputs in one request.`,
    );
  reply.type('application/json');
  if (length <= WRITE_CHARS) return reply.send(begin + items.join(',') + end);
  return reply.send(Readable.from(partsOf({ begin, items, end }), { objectMode: false }));
}

function* partsOf({ begin, items, end }: Pieces): Generator<string> {
  let part = begin;
  for (const [at, item] of items.entries()) {
    part += at === 0 ? item : `,${item}`;
    if (part.length < WRITE_CHARS) continue;
    yield part;
    part = '';
  }
  yield part + end;
}
