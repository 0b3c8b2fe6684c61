/** Converts a file to the JSON of responses, and its name to a header. */
import type { StoredFile } from '@millrace/shared/files/file-table';
import { publicId } from '@millrace/shared/predictions/public-ids';

/** `base` is the public URL without a final slash, or ''. */
export function fileJson(file: StoredFile, base: string) {
  const id = publicId('file', file.id);
  const self = `${base}/v1/files/${id}`;
  return {
    id,
    filename: file.filename,
    media_type: file.mediaType,
    bytes: file.bytes,
    sha256: file.sha256.toString('hex'),
    created_at: new Date(file.createdAt).toISOString(),
    expires_at: new Date(file.expiresAt).toISOString(),
    urls: { self, content: `${self}/content` },
  };
}

/** `Content-Disposition` (RFC 6266): a browser saves the file, and never shows the file as a page of this server. */
export function dispositionOf(filename: string | null): string {
  if (filename === null) return 'attachment';
  const ascii = filename.replaceAll(/[^\w. -]/g, '_');
  const encoded = encodeURIComponent(filename.toWellFormed()).replaceAll(
    /['()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16)}`,
  );
  return `attachment; filename="${ascii}"; filename*=UTF-8''${encoded}`;
}
