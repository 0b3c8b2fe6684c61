/**
 * Converts images to `pixel_values` as preprocessor_config.json specifies. The steps, their order and their rounding equal the steps of
 * `@huggingface/transformers`, so that both compute equal values.
 */
import { InputError } from '@millrace/shared/model-files/handler';
import sharp, { type Sharp } from 'sharp';
import { type JsonObject, numberOf, objectOf, textOf } from '../files/task-json.ts';
import { PIXELS_MAX } from './image-input.ts';

/** Interleaved pixels of three channels. */
interface Pixels {
  data: Uint8Array;
  width: number;
  height: number;
}

/** The values of one image: three planes. */
export interface PixelValues {
  values: Float32Array;
  width: number;
  height: number;
}

interface Size {
  width: number;
  height: number;
}

const CHANNELS = 3;
/** PIL's numbers. Box and Hamming are bilinear, as in `@huggingface/transformers`. */
const RESAMPLING = ['nearest', 'lanczos', 'bilinear', 'bicubic', 'bilinear', 'bilinear'] as const;
/** The largest edge of an image after its resize. */
const EDGE_MAX = 4_096;
/** The longest reason of a decoder in an error. */
const REASON_MAX = 200;
const CROP_DEFAULT = 224 / 256;
/** ConvNeXT crops images below this size. */
const CONVNEXT_WARPED = 384;

// A decoded image is used once.
sharp.cache(false);
sharp.concurrency(1);

export class Preprocessor {
  readonly #config: JsonObject;
  readonly #resampling: (typeof RESAMPLING)[number];
  readonly #size: unknown;
  readonly #mean: readonly number[];
  readonly #deviation: readonly number[];
  readonly #factor: number;
  readonly #type: string;

  /** Throws an error for a step that is not supported. */
  constructor(config: JsonObject) {
    this.#config = config;
    this.#type = textOf(config.image_processor_type) ?? textOf(config.feature_extractor_type) ?? '';
    for (const step of ['do_crop_margin', 'do_thumbnail', 'do_pad', 'keep_aspect_ratio'])
      if (config[step] === true)
        throw new Error(
          `preprocessor_config.json has ${step}, which is not supported: serve the tensors with "task": "none"`,
        );
    this.#resampling = RESAMPLING[numberOf(config.resample) ?? 2] ?? 'bilinear';
    this.#size = config.size ?? config.image_size;
    const isNormalized = config.do_normalize === true;
    this.#mean = isNormalized ? channelsOf(config.image_mean ?? config.mean, 'image_mean') : [0, 0, 0];
    const deviation = isNormalized ? channelsOf(config.image_std ?? config.std, 'image_std') : [1, 1, 1];
    const isSquared = this.#type.startsWith('EfficientNet') && config.include_top !== false && isNormalized;
    this.#deviation = isSquared ? deviation.map((value) => value * value) : deviation;
    this.#factor = config.do_rescale === false ? 1 : (numberOf(config.rescale_factor) ?? 1 / 255);
  }

  /** Rejects with InputError for bytes that cannot be decoded, and for more than PIXELS_MAX pixels. */
  async valuesOf(image: Buffer): Promise<PixelValues> {
    let pixels = await decoded(image);
    if (this.#config.do_resize ?? this.#size !== undefined)
      pixels = this.#type.startsWith('ConvNext') ? await this.#convNext(pixels) : await this.#resized(pixels);
    if (this.#config.do_center_crop === true) pixels = cropped(pixels, cropSizeOf(this.#config.crop_size));
    return this.#planes(pixels);
  }

  #resized(pixels: Pixels): Promise<Pixels> {
    return resize(pixels, { ...this.#targetOf(pixels, this.#size), resampling: this.#resampling });
  }

  async #convNext(pixels: Pixels): Promise<Pixels> {
    const edge = numberOf(objectOf(this.#size).shortest_edge);
    if (edge === undefined) throw new Error('size of preprocessor_config.json has no shortest_edge');
    const resampling = this.#resampling;
    if (edge >= CONVNEXT_WARPED) return resize(pixels, { width: edge, height: edge, resampling });
    const shortest = Math.floor(edge / (numberOf(this.#config.crop_pct) ?? CROP_DEFAULT));
    const larger = await resize(pixels, { ...this.#targetOf(pixels, { shortest_edge: shortest }), resampling });
    return cropped(larger, { width: edge, height: edge });
  }

  /** The size after the resize. */
  #targetOf({ width, height }: Size, size: unknown): Size {
    const fixed = objectOf(size);
    const [fixedWidth, fixedHeight] = [numberOf(fixed.width), numberOf(fixed.height)];
    const shortest = numberOf(size) ?? numberOf(fixed.shortest_edge);
    const longest =
      numberOf(size) === undefined ? numberOf(fixed.longest_edge) : (numberOf(this.#config.max_size) ?? shortest);
    if (shortest === undefined && longest === undefined) {
      if (fixedWidth === undefined || fixedHeight === undefined)
        throw new Error(
          `size of preprocessor_config.json is ${JSON.stringify(size)}: expected shortest_edge, or width and height`,
        );
      return { width: fixedWidth, height: fixedHeight };
    }
    const factor = shortest === undefined ? 1 : Math.max(shortest / width, shortest / height);
    const [newWidth, newHeight] = [width * factor, height * factor];
    const shrink = longest === undefined ? 1 : Math.min(longest / newWidth, longest / newHeight);
    const rounded = (edge: number) => Math.max(1, Math.floor(Number((edge * shrink).toFixed(2))));
    return { width: rounded(newWidth), height: rounded(newHeight) };
  }

  #planes({ data, width, height }: Pixels): PixelValues {
    const plane = width * height;
    const values = new Float32Array(CHANNELS * plane);
    const isFlipped = this.#config.do_flip_channel_order === true;
    for (let channel = 0; channel < CHANNELS; channel++) {
      const [mean = 0, deviation = 1] = [this.#mean[channel], this.#deviation[channel]];
      const to = plane * (isFlipped ? CHANNELS - 1 - channel : channel);
      for (let at = 0; at < plane; at++) {
        // The product is rounded to float32 before the difference.
        const scaled = Math.fround(this.#factor * (data[at * CHANNELS + channel] ?? 0));
        values[to + at] = (scaled - mean) / deviation;
      }
    }
    return { values, width, height };
  }
}

function channelsOf(value: unknown, name: string): number[] {
  const list = Array.isArray(value) ? value.map(Number) : [Number(value), Number(value), Number(value)];
  if (list.length !== CHANNELS || list.some((number) => !Number.isFinite(number)))
    throw new Error(`${name} of preprocessor_config.json must have three numbers`);
  return list;
}

function cropSizeOf(value: unknown): Size {
  const { width, height } = objectOf(value);
  const [edgeX, edgeY] = [numberOf(value) ?? numberOf(width), numberOf(value) ?? numberOf(height)];
  if (edgeX === undefined || edgeY === undefined)
    throw new Error('crop_size of preprocessor_config.json must be a number, or have width and height');
  return { width: edgeX, height: edgeY };
}

/**
 * Decodes the first frame, and turns the image as its EXIF orientation says. An image can have a valid head and damaged pixels: only the
 * decoder finds the damage.
 */
async function decoded(image: Buffer): Promise<Pixels> {
  try {
    return await pixelsOf(sharp(image, { limitInputPixels: PIXELS_MAX }).rotate());
  } catch (error) {
    const got = error instanceof Error ? error.message.slice(0, REASON_MAX) : 'unknown';
    throw new InputError({
      pointer: '/image',
      message: 'The image cannot be decoded: its content is damaged or incomplete.',
      expected: 'the whole content of a JPEG, PNG, WebP, GIF or TIFF',
      got,
    });
  }
}

async function pixelsOf(image: Sharp): Promise<Pixels> {
  const { data, info } = await image.raw().toBuffer({ resolveWithObject: true });
  const { width, height, channels } = info;
  return { data: channels === CHANNELS ? data : threeChannels(data, channels), width, height };
}

/** Repeats gray, and drops the alpha channel. */
function threeChannels(data: Uint8Array, channels: number): Uint8Array {
  const pixels = data.length / channels;
  const rgb = new Uint8Array(pixels * CHANNELS);
  for (let at = 0; at < pixels; at++)
    for (let channel = 0; channel < CHANNELS; channel++)
      rgb[at * CHANNELS + channel] = data[at * channels + (channels < CHANNELS ? 0 : channel)] ?? 0;
  return rgb;
}

async function resize(pixels: Pixels, target: Size & { resampling: (typeof RESAMPLING)[number] }): Promise<Pixels> {
  const { width, height, resampling } = target;
  if (pixels.width === width && pixels.height === height) return pixels;
  if (width > EDGE_MAX || height > EDGE_MAX)
    throw new InputError({
      pointer: '/image',
      message: `The resized image would have ${width} x ${height} pixels.`,
      expected: `an image whose edges have at most ${EDGE_MAX} pixels after the resize`,
      got: `${pixels.width} x ${pixels.height}`,
    });
  const raw = { width: pixels.width, height: pixels.height, channels: CHANNELS } as const;
  const image = sharp(pixels.data, { raw, limitInputPixels: PIXELS_MAX });
  const resized =
    resampling === 'lanczos'
      ? image.resize({ width, height, fit: 'fill', kernel: 'lanczos3' })
      : image.affine([width / pixels.width, 0, 0, height / pixels.height], { interpolator: resampling });
  return pixelsOf(resized);
}

/** Cuts the middle. A smaller image gets a black border. */
function cropped(pixels: Pixels, { width, height }: Size): Pixels {
  const [left, top] = [offsetOf(pixels.width, width), offsetOf(pixels.height, height)];
  const data = new Uint8Array(width * height * CHANNELS);
  const columns = Math.min(width, pixels.width);
  for (let row = 0; row < Math.min(height, pixels.height); row++) {
    const from = ((row + top.from) * pixels.width + left.from) * CHANNELS;
    const to = ((row + top.to) * width + left.to) * CHANNELS;
    data.set(pixels.data.subarray(from, from + columns * CHANNELS), to);
  }
  return { data, width, height };
}

/** Where the middle begins: `from` in a larger edge, and `to` in a smaller edge. */
function offsetOf(edge: number, wanted: number): { from: number; to: number } {
  const offset = (edge - wanted) / 2;
  return offset >= 0 ? { from: Math.floor(offset), to: 0 } : { from: 0, to: Math.floor(-offset) };
}
