/** Routes of files: upload, list, read, download and delete. The bytes are in the file store, and the files in Postgres. */
import { Readable } from 'node:stream';
import { ApiError } from '@millrace/shared/errors';
import { type FileStore, FileStoreError } from '@millrace/shared/files/file-store';
import {
  deleteFile,
  dropObject,
  findFile,
  insertFile,
  listFiles,
  type StoredFile,
} from '@millrace/shared/files/file-table';
import { sharedNow } from '@millrace/shared/postgres/clock';
import type { Pool } from '@millrace/shared/postgres/db';
import { publicId, uuidOf } from '@millrace/shared/predictions/public-ids';
import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from 'fastify';
import { decodePlace, encodePlace, invalidCursor } from '../http/cursor.ts';
import { guardOf, matchesEtag } from '../http/etags.ts';
import { idempotencyKeyOf } from '../http/idempotency-key.ts';
import { limitOf, linkNext, pageOf } from '../http/list.ts';
import { fromStore } from '../http/store-errors.ts';
import type { App } from '../http/type-provider.ts';
import { partOf } from './byte-range.ts';
import {
  filenameOf,
  type Received,
  storeAway,
  tenantFull,
  type UploadLimits,
  UploadReceiver,
} from './receive-upload.ts';
import { dispositionOf, fileJson } from './render.ts';
import * as routes from './route-schemas.ts';

export interface FileRoutes {
  db: Pool;
  /** Undefined without FILES_URL. */
  store: FileStore | undefined;
  limits: UploadLimits & { filesTtlS: number };
  base: string;
  tenantOf(request: FastifyRequest): string;
  log: FastifyBaseLogger;
}

type Deps = FileRoutes & { store: FileStore };

export function registerFiles(app: App, given: FileRoutes): void {
  const { store } = given;
  if (store === undefined) {
    registerWithoutStore(app);
    return;
  }
  const deps = { ...given, store };
  // A separate Fastify instance, because an upload has other content-type parsers than all other routes.
  void app.register(async (scope: App) => registerUpload(scope, deps));
  registerRead(app, deps);
  registerList(app, deps);
}

const notConfigured = async (): Promise<never> => {
  throw new ApiError(
    'files_not_configured',
    'This server has no file store (FILES_URL). Send the bytes in the request.',
  );
};

function registerWithoutStore(app: App): void {
  // Fastify calls no handler before the body is parsed.
  const onRequest = async (request: FastifyRequest) => {
    await checkKey(request);
    await notConfigured();
  };
  app.post('/v1/files', { schema: routes.createFile, onRequest }, notConfigured);
  app.get('/v1/files', { schema: routes.listFiles }, notConfigured);
  app.get('/v1/files/:id', { schema: routes.getFile }, notConfigured);
  app.get('/v1/files/:id/content', { schema: routes.getFileContent }, notConfigured);
  app.delete('/v1/files/:id', { schema: routes.deleteFile }, notConfigured);
}

/** Refuses an invalid Idempotency-Key before the upload, and not afterwards. */
async function checkKey({ headers }: FastifyRequest): Promise<void> {
  idempotencyKeyOf(headers['idempotency-key']);
}

function registerUpload(app: App, deps: Deps): void {
  const { db, limits, base, tenantOf } = deps;
  const receiver = new UploadReceiver(deps);
  const received = new WeakMap<FastifyRequest, Received>();
  app.removeAllContentTypeParsers();
  // The body identifies the content: a repeated Idempotency-Key with another content is refused.
  app.addContentTypeParser('*', async (request: FastifyRequest, payload: typeof request.raw) => {
    const upload = await receiver.receive(request, payload);
    received.set(request, upload);
    const { object: _, sha256, ...about } = upload;
    return { ...about, sha256: sha256.toString('hex') };
  });
  // An upload is still in `received` if the response repeats an earlier response or is an error: no file uses the object.
  app.addHook('onResponse', async (request) => {
    const unused = received.get(request);
    if (unused)
      await dropObject(db, unused.object).catch((error) =>
        deps.log.debug({ err: error }, 'the object of an unused upload stays until it expires'),
      );
  });
  app.post(
    '/v1/files',
    { schema: routes.createFile, config: { streamsBody: true }, onRequest: checkKey },
    async (request, reply) => {
      const upload = received.get(request);
      if (upload === undefined)
        throw new ApiError('invalid_request', 'The upload has no bytes. Send the content of a file as the body.');
      const { object, sha256, bytes, mediaType } = upload;
      const { filename, expires_in: expiresInS = upload.expiresInS ?? limits.filesTtlS } = request.query;
      const nowMs = sharedNow();
      const file = {
        tenant: tenantOf(request),
        object,
        sha256,
        bytes,
        mediaType,
        filename: filenameOf(filename) ?? upload.filename,
        nowMs,
        expiresAt: nowMs + Math.min(expiresInS, limits.filesTtlS) * 1_000,
        quota: limits.filesPerTenant,
      };
      const stored = await fromStore('Postgres', insertFile(db, file));
      if (stored === 'full') throw tenantFull(limits.filesPerTenant);
      if (stored === 'gone') throw new ApiError('request_timeout', 'The upload took too long. Send the file again.');
      received.delete(request);
      const json = fileJson(stored, base);
      return reply.code(201).header('location', json.urls.self).send(json);
    },
  );
}

/** Finds the file of a path. Throws `file_not_found`. */
async function fileOf(
  { db, tenantOf }: Deps,
  request: FastifyRequest<{ Params: { id: string } }>,
): Promise<StoredFile> {
  const { id: given } = request.params;
  const id = uuidOf('file', given);
  const found =
    id && (await fromStore('Postgres', findFile(db, { tenant: tenantOf(request), id, nowMs: sharedNow() })));
  if (!found) throw notFound(given);
  return found;
}

const notFound = (id: string): ApiError =>
  new ApiError(
    'file_not_found',
    `No file has the id '${id.slice(0, 64)}'. The file may have expired: send the file again.`,
  );

function registerRead(app: App, deps: Deps): void {
  const { db, tenantOf, base } = deps;
  app.get('/v1/files/:id', { schema: routes.getFile, config: { etag: true } }, async (request) =>
    fileJson(await fileOf(deps, request), base),
  );
  app.get('/v1/files/:id/content', { schema: routes.getFileContent }, async (request, reply) =>
    sendContent(deps, await fileOf(deps, request), { request, reply }),
  );
  app.delete('/v1/files/:id', { schema: routes.deleteFile }, async (request, reply) => {
    const { id: given } = request.params;
    const id = uuidOf('file', given);
    const condition = guardOf(request);
    const guard = condition && ((file: StoredFile) => condition(fileJson(file, base)));
    const place = { tenant: tenantOf(request), nowMs: sharedNow(), guard };
    const deleted = id !== undefined && (await fromStore('Postgres', deleteFile(db, { ...place, id })));
    if (!deleted) throw notFound(given);
    return reply.code(204).send();
  });
}

interface Exchange {
  request: FastifyRequest;
  reply: FastifyReply;
}

async function sendContent({ store }: Deps, file: StoredFile, { request, reply }: Exchange): Promise<FastifyReply> {
  const etag = `"${file.sha256.toString('base64url')}"`;
  if (matchesEtag(request.headers['if-none-match'], etag)) return reply.code(304).header('etag', etag).send();
  const isHead = request.method === 'HEAD';
  const part = isHead ? undefined : partOf(request.headers, { bytes: file.bytes, etag });
  reply.header('accept-ranges', 'bytes');
  if (part === 'outside') {
    reply.header('content-range', `bytes */${file.bytes}`);
    throw outside(request.headers.range, file.bytes);
  }
  const content = isHead ? Readable.from([]) : await store.read(file.object, part).catch(refuse);
  // Another request may have deleted or replaced the file since the row was read.
  if (content === undefined) throw notFound(publicId('file', file.id));
  reply
    .header('etag', etag)
    .header('cache-control', 'private, no-cache')
    .header('content-type', file.mediaType)
    .header('content-length', part ? part.last - part.first + 1 : file.bytes)
    .header('content-disposition', dispositionOf(file.filename))
    // A file of a caller must never run as a page of this server, whose console may have a session.
    .header('content-security-policy', "default-src 'none'; sandbox");
  if (part) reply.code(206).header('content-range', `bytes ${part.first}-${part.last}/${file.bytes}`);
  return reply.send(content);
}

function outside(range: string | undefined, bytes: number): ApiError {
  const expected = `bytes between 0 and ${bytes - 1}`;
  return new ApiError(
    'range_not_satisfiable',
    `The file has ${bytes} bytes, and none in the range. Request ${expected}.`,
    {
      faults: [
        { in: 'header', pointer: 'Range', message: 'Outside the file', expected, got: range?.slice(0, 100) ?? '' },
      ],
    },
  );
}

function refuse(error: unknown): never {
  throw error instanceof FileStoreError ? storeAway(error) : error;
}

function registerList(app: App, { db, tenantOf, base }: Deps): void {
  app.get('/v1/files', { schema: routes.listFiles }, async (request, reply) => {
    const { cursor, order = 'desc' } = request.query;
    const tenant = tenantOf(request);
    const limit = limitOf(request.query);
    const list = JSON.stringify(['files', tenant, order]);
    const after = cursor === undefined ? null : placeIn(list, cursor);
    const rows = await fromStore(
      'Postgres',
      listFiles(db, tenant, { limit: limit + 1, order, after, nowMs: sharedNow() }),
    );
    const page = pageOf({
      rows,
      limit,
      item: (file) => fileJson(file, base),
      cursorAfter: ({ createdAt, id }) => encodePlace(list, [createdAt, id]),
    });
    linkNext(request, reply, { next: page.next, base });
    return page;
  });
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

function placeIn(list: string, cursor: string): { at: number; id: string } {
  const [at, id] = decodePlace(list, cursor, [0, ''] as [number, string]);
  if (!UUID.test(id)) throw invalidCursor('The cursor is damaged, or this API did not return the cursor.', cursor);
  return { at, id };
}
