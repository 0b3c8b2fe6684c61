/** The input of image tasks: its schema, and its canonical form, which is the content of the image. */
import { InputError, type Static, Type } from '@millrace/shared/model-files/handler';
import { disableTypes, imageSize, types } from 'image-size';

/** The image formats that the engine decodes. */
const FORMATS = ['gif', 'jpg', 'png', 'tiff', 'webp'] as const;
disableTypes(types.filter((type) => !FORMATS.some((format) => format === type)));

/** The most pixels of an image. The engine holds three or four bytes for each pixel. */
export const PIXELS_MAX = 50_000_000;
/** The most characters of the text: the base64 of 11.9 MiB. */
const TEXT_MAX = 16_700_000;

const Reference = Type.Object(
  { file: Type.String({ maxLength: 64, description: 'The id of a file of `/v1/files`.' }) },
  { additionalProperties: false },
);

export const ImageInput = Type.Object(
  {
    image: Type.Union([Type.String({ minLength: 1, maxLength: TEXT_MAX }), Reference], {
      description: 'The image: an https URL, a data URL (`data:image/jpeg;base64,...`), or `{"file": "file_..."}`.',
    }),
  },
  { additionalProperties: false },
);

/** The canonical form: the base64 of the content. Equal content from a URL, a file and a request is one input. */
export type ImageRow = { image: string };

const DATA_URL = /^data:(?:image\/[\w.+-]{1,40}|application\/octet-stream)?;base64,/i;
/** Also the alphabet of URLs. White space and other characters are refused, and `=` may be left out. */
const BASE64 = /^[\w+/-]*={0,2}$/;

/** The API has replaced every URL and every file by a data URL. Throws InputError. */
export function canonicalImage({ image }: Static<typeof ImageInput>): ImageRow {
  const head = typeof image === 'string' ? DATA_URL.exec(image)?.[0] : undefined;
  if (typeof image !== 'string' || head === undefined)
    throw refused('The image is no data URL.', 'an https URL, data:image/...;base64,..., or {"file": "file_..."}');
  const text = image.slice(head.length);
  if (!BASE64.test(text)) throw refused('The data URL is not base64.', 'base64 without white space');
  const bytes = Buffer.from(text, 'base64');
  checkSize(bytes);
  return { image: bytes.toString('base64') };
}

/** Reads only the head of the image. An image of a false size fails in the engine, which has the same limit. */
function checkSize(bytes: Buffer): void {
  const { width, height } = sizeOf(bytes);
  if (!(width >= 1 && height >= 1)) throw refused('The image has no pixels.', 'an image of at least one pixel');
  if (width * height > PIXELS_MAX)
    throw refused('The image has too many pixels.', `at most ${PIXELS_MAX} pixels`, `${width} x ${height}`);
}

function sizeOf(bytes: Buffer): { width: number; height: number } {
  try {
    return imageSize(bytes);
  } catch {
    throw refused('The bytes are no image.', 'a JPEG, PNG, WebP, GIF or TIFF', `${bytes.length} other bytes`);
  }
}

const refused = (message: string, expected: string, got?: string): InputError =>
  new InputError({ pointer: '/image', message, expected, ...(got === undefined ? {} : { got }) });
