/**
 * A field for an image: dropped or chosen. A tensor of an image gets the pixels as little-endian elements in base64. An input that takes
 * stored files gets the id of a file, which the field uploads, or a URL that the reader types.
 */
import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiProblem, call } from '../../core/api.ts';
import { hint } from '../../ui/hint.ts';
import { h, html, type Markup } from '../../ui/html.ts';
import { icon } from '../../ui/icon.ts';
import type { Field } from './fields.ts';

/** The sides of an image whose tensor has free dimensions are cut to this. */
const SIDE_MAX = 1_024;

export interface ImageFieldProps {
  id: string;
  field: Field;
  value: string;
  fault: string | undefined;
  change: (text: string) => void;
}

interface Layout {
  channels: 1 | 3;
  /** The channels are the second dimension, and not the last. */
  first: boolean;
  height: number | undefined;
  width: number | undefined;
  bytes: boolean;
}

/** How a tensor holds an image; undefined for a tensor that is no image. */
function layoutOf({ tensor }: Field): Layout | undefined {
  if (tensor === undefined || tensor.shape.length !== 4 || (tensor.dtype !== 'float32' && tensor.dtype !== 'uint8'))
    return undefined;
  const [, second, third, last] = tensor.shape;
  const bytes = tensor.dtype === 'uint8';
  const size = (side: number | string | undefined) => (typeof side === 'number' && side > 0 ? side : undefined);
  const before = channelsOf(second);
  if (before !== undefined) return { channels: before, first: true, height: size(third), width: size(last), bytes };
  const after = channelsOf(last);
  if (after !== undefined) return { channels: after, first: false, height: size(second), width: size(third), bytes };
  return undefined;
}

/** A free dimension of this name takes a color image. */
const CHANNELS = /^(c|channels?)$/i;

function channelsOf(size: number | string | undefined): 1 | 3 | undefined {
  if (size === 1 || size === 3) return size;
  return typeof size === 'string' && CHANNELS.test(size) ? 3 : undefined;
}

export const isImageTensor = (field: Field): boolean => layoutOf(field) !== undefined;

function ImageField({ id, field, value, fault, change }: ImageFieldProps): Markup {
  const [picture, setPicture] = useState('');
  const [over, setOver] = useState(false);
  const [failure, setFailure] = useState<string>();
  const [sending, setSending] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const upload = useRef<AbortController>(undefined);
  useEffect(() => () => upload.current?.abort(), []);
  useEffect(() => () => URL.revokeObjectURL(picture), [picture]);
  const use = async (file: File | undefined | null) => {
    if (!file) return;
    upload.current?.abort();
    const now = new AbortController();
    upload.current = now;
    setFailure(undefined);
    setSending(field.stored === true);
    const shown = URL.createObjectURL(file);
    try {
      const text = await textOfImage({ file, field, picture: shown, signal: now.signal });
      if (now.signal.aborted) return;
      change(text);
      setPicture(shown);
    } catch (error) {
      if (now.signal.aborted) return;
      setFailure(
        error instanceof ApiProblem
          ? error.message
          : `${file.name} is not an image that this browser can read. Choose a PNG, JPEG or WebP file.`,
      );
    } finally {
      if (!now.signal.aborted) setSending(false);
    }
  };
  const type = (event: Event) => {
    upload.current?.abort();
    setSending(false);
    setPicture('');
    change((event.currentTarget as HTMLInputElement).value);
  };
  const onDrop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    void use(event.dataTransfer?.files[0]);
  };
  const shown = value !== '' && picture !== '';
  return html`<div class="field">
    <span class="label" id=${`${id}-label`}>${field.label}</span>
    <button type="button" id=${id} class=${`drop${over ? ' over' : ''}`} aria-describedby=${`${id}-hint`} aria-labelledby=${`${id}-label ${id}`} aria-invalid=${fault === undefined ? undefined : 'true'}
      onClick=${() => input.current?.click()} onDragOver=${(event: DragEvent) => {
        event.preventDefault();
        setOver(true);
      }} onDragLeave=${() => setOver(false)} onDrop=${onDrop}>
      ${shown ? html`<img class="thumb" src=${picture} alt="The chosen image" />` : icon('file')}<span role="status">${sending ? 'Uploading the image' : shown ? 'Choose another image' : 'Drop an image, or choose a file'}</span>
    </button>
    ${
      field.stored
        ? html`<input class="input" type="text" id=${`${id}-url`} aria-label=${`${field.label}: URL or id of a file`} aria-describedby=${`${id}-hint`} placeholder="https://… or file_…" spellcheck="false" autocomplete="off"
      value=${value.startsWith('data:') ? '' : value} onInput=${type} />`
        : null
    }
    <input type="file" class="sr" tabindex="-1" aria-hidden="true" accept="image/*" ref=${input} onChange=${(event: Event) => use((event.currentTarget as HTMLInputElement).files?.[0])} />
    ${hint(id, field.description, failure ?? fault)}
  </div>`;
}

interface ChosenImage {
  file: File;
  field: Field;
  /** The URL of the file in this browser. */
  picture: string;
  signal: AbortSignal;
}

/** The text of the field for an image. Rejects for a file that is no image, and where the server refuses the file. */
async function textOfImage({ file, field, picture, signal }: ChosenImage): Promise<string> {
  const image = new Image();
  image.src = picture;
  await image.decode();
  const layout = layoutOf(field);
  if (layout) return tensorOf(image, layout);
  if (field.stored) return storedFile(file, signal);
  const uri = await dataUriOf(file);
  return field.dataUri === false ? uri.slice(uri.indexOf(',') + 1) : uri;
}

/** The id of the file. A server without a file store takes the image in the request. */
async function storedFile(file: File, signal: AbortSignal): Promise<string> {
  try {
    const headers = { 'content-type': file.type };
    const query = { filename: file.name.slice(0, 200) };
    return (await call<{ id: string }>('/v1/files', { method: 'POST', query, body: file, headers, signal })).body.id;
  } catch (error) {
    if (error instanceof ApiProblem && error.code === 'files_not_configured') return dataUriOf(file);
    throw error;
  }
}

const dataUriOf = (file: File): Promise<string> =>
  new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });

/** Elements are from 0 to 1 as float32, and from 0 to 255 as uint8. */
function tensorOf(image: HTMLImageElement, layout: Layout): string {
  const scale = Math.min(1, SIDE_MAX / Math.max(image.naturalWidth, image.naturalHeight));
  const width = layout.width ?? Math.round(image.naturalWidth * scale);
  const height = layout.height ?? Math.round(image.naturalHeight * scale);
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d');
  if (context === null) throw new Error('The browser has no canvas.');
  context.drawImage(image, 0, 0, width, height);
  const elements = elementsOf(context.getImageData(0, 0, width, height).data, width * height, layout);
  const { channels, first } = layout;
  const shape = first ? [1, channels, height, width] : [1, height, width, channels];
  return JSON.stringify({ shape, base64: base64Of(new Uint8Array(elements.buffer)) });
}

function elementsOf(
  pixels: Uint8ClampedArray,
  size: number,
  { channels, first, bytes }: Layout,
): Float32Array | Uint8Array {
  const elements = bytes ? new Uint8Array(size * channels) : new Float32Array(size * channels);
  const unit = bytes ? 1 : 1 / 255;
  for (let pixel = 0; pixel < size; pixel++) {
    const [red = 0, green = 0, blue = 0] = pixels.subarray(4 * pixel, 4 * pixel + 3);
    const values = channels === 3 ? [red, green, blue] : [0.299 * red + 0.587 * green + 0.114 * blue];
    for (const [channel, value] of values.entries())
      elements[first ? channel * size + pixel : pixel * channels + channel] = value * unit;
  }
  return elements;
}

const PART = 32_768;

function base64Of(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += PART) text += String.fromCharCode(...bytes.subarray(at, at + PART));
  return btoa(text);
}

export const imageField = (props: ImageFieldProps): Markup => h(ImageField, { ...props, key: props.id });
