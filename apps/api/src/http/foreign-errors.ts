/** The errors of a protocol of others, which has its own folder of paths and its own form of an error. */
import type { FastifyBaseLogger, FastifyError, FastifyReply, FastifyRequest } from 'fastify';

export interface FailedRequest {
  error: FastifyError;
  request: FastifyRequest;
  reply: FastifyReply;
  log: FastifyBaseLogger;
}

export interface ForeignErrors {
  /** Such as `/v2`. Every path of the folder gets the errors of the protocol. */
  folder: string;
  send(failed: FailedRequest): FastifyReply;
}

/** The protocol of a request target that the router cannot read. Undefined for a target outside the folders. */
export function foreignErrorsOf(protocols: readonly ForeignErrors[], target: string): ForeignErrors | undefined {
  // The absolute form of a target begins with a scheme and a host.
  const path = target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/]*/i, '');
  return protocols.find(({ folder }) => path.startsWith(`${folder}/`));
}
