/** The schemas of the file routes: parameters, responses and texts. */
import type { FastifySchema } from 'fastify';
import { Type } from 'typebox';
import { binary, DONE, json, noBody, resource } from '../http/documentation.ts';
import * as examples from './response-examples.ts';
import { FileList, FileObject } from './response-schemas.ts';
import { FileQuery, IdParams, UploadForm, UploadQuery } from './schemas.ts';

const tags = ['Files'];
const ofFile = ['file_not_found', 'files_not_configured', 'store_unavailable'] as const;
const bytes = { schema: Type.String({ format: 'binary' }) };

export const createFile = {
  operationId: 'createFile',
  querystring: UploadQuery,
  documentedBody: { 'application/octet-stream': bytes, 'multipart/form-data': { schema: UploadForm } },
  tags,
  summary: 'Store a file',
  description:
    'The body is the content, of any media type, or a form with the part `file`. The content is streamed. Equal content of a tenant ' +
    'is one file with one id: a further upload replaces the name and the media type, and never shortens the life of the file.',
  response: { 201: json(FileObject, 'The file.', ['Location']) },
  responseExamples: { 201: { file: examples.file } },
  errors: ['files_not_configured', 'files_full', 'too_many_uploads', 'store_unavailable'],
} satisfies FastifySchema;

export const listFiles = {
  operationId: 'listFiles',
  querystring: FileQuery,
  tags,
  summary: 'List files, newest first',
  response: { 200: json(FileList, 'A page.', ['Link']) },
  responseExamples: { 200: { files: examples.files } },
  errors: ['invalid_cursor', 'files_not_configured', 'store_unavailable'],
} satisfies FastifySchema;

export const getFile = {
  operationId: 'getFile',
  params: IdParams,
  tags,
  summary: 'A file without its content',
  requestHeaders: ['If-None-Match'],
  response: resource(FileObject, 'The file.'),
  responseExamples: { 200: { file: examples.file } },
  errors: ofFile,
} satisfies FastifySchema;

export const getFileContent = {
  operationId: 'getFileContent',
  params: IdParams,
  tags,
  summary: 'The content of a file',
  description:
    'The response has the media type of the upload. A browser saves the content, and never shows it as a page of this server. `Range` ' +
    'requests one range of bytes; a request of several ranges gets the whole content.',
  requestHeaders: ['If-None-Match', 'Range', 'If-Range'],
  response: {
    200: binary('The content.', ['ETag', 'Accept-Ranges']),
    206: binary('The range of the content.', ['ETag', 'Accept-Ranges', 'Content-Range']),
    304: noBody('`If-None-Match` matches.', ['ETag']),
  },
  errors: [...ofFile, 'range_not_satisfiable'],
} satisfies FastifySchema;

export const deleteFile = {
  operationId: 'deleteFile',
  params: IdParams,
  tags,
  summary: 'Delete a file',
  description: 'Predictions that were created with the file keep its content.',
  requestHeaders: ['If-Match'],
  response: { 204: DONE },
  errors: [...ofFile, 'precondition_failed'],
} satisfies FastifySchema;
