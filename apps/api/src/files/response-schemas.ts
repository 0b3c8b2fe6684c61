/** The responses of the file routes, as JSON Schema. */
import { Type } from 'typebox';
import { listOf, orNull, Path, Time } from '../http/response-schemas.ts';

export const FileObject = Type.Object(
  {
    id: Type.String({ pattern: '^file_[0-9a-f]{32}$', description: 'Equal content of a tenant has one id.' }),
    filename: orNull(Type.String(), 'The name that the last upload gave.'),
    media_type: Type.String({ description: 'The media type that the last upload gave.' }),
    bytes: Type.Integer({ minimum: 1 }),
    sha256: Type.String({ pattern: '^[0-9a-f]{64}$', description: 'SHA-256 of the content.' }),
    created_at: Time,
    expires_at: Time,
    urls: Type.Object({ self: Path, content: Path }),
  },
  { $id: 'File' },
);

export const FileList = listOf('FileList', FileObject);
