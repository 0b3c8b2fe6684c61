/** Schemas of the parameters of the file routes. */
import { Type } from 'typebox';
import { listParameters, orderParameter } from '../http/list.ts';

const closed = { additionalProperties: false } as const;

export const IdParams = Type.Object({ id: Type.String({ maxLength: 64, description: 'Id of a file.' }) });
export const FileQuery = Type.Object({ ...listParameters, ...orderParameter }, closed);

const ExpiresIn = Type.Integer({
  minimum: 1,
  description: 'Seconds until the file is deleted. A longer life than `FILES_TTL`, which is also the default, is cut.',
});

export const UploadQuery = Type.Object(
  {
    filename: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 255,
        description: 'The name of the file. Default: the name in the form.',
      }),
    ),
    expires_in: Type.Optional(ExpiresIn),
  },
  closed,
);

/** A form that is sent as multipart/form-data. */
export const UploadForm = Type.Object(
  {
    file: Type.String({
      format: 'binary',
      description: 'The content. Its part may have a file name and a media type.',
    }),
    expires_in: Type.Optional(ExpiresIn),
  },
  { ...closed, $id: 'UploadForm' },
);
