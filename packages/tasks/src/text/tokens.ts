/** The tokenizer of a version. */

import { Tokenizer } from '@huggingface/tokenizers';
import { InputError } from '@millrace/shared/model-files/handler';
import { type JsonObject, numberOf, objectOf, textOf } from '../files/task-json.ts';
import type { Sequence } from './sequences.ts';

/** The longest text of an input, in UTF-16 units. */
export const TEXT_MAX = 1_000_000;
/** Models without any limit in their files get this limit. */
const LENGTH_DEFAULT = 512;
/** `model_max_length` of a tokenizer without a limit is 1e30. */
const LENGTH_MAX = 131_072;
/** A text is cut after this many characters for each token of the limit, and then after more, until the tokens suffice. */
const CHARACTERS_PER_TOKEN = 16;

/** The tokens of two longer texts are not all counted. */
const COUNTED_MAX = 65_536;

export interface TokenizerFiles {
  /** tokenizer.json. */
  tokenizer: JsonObject;
  /** tokenizer_config.json. */
  settings: JsonObject;
  /** config.json. */
  config: JsonObject;
  /** sentence_bert_config.json. */
  sentences: JsonObject;
  /** The length that the model's input demands; undefined for any length. */
  fixedLength: number | undefined;
}

export type Encoded = Sequence & { truncated?: true };

/** The tokens of a text without special tokens, and whether the text has more tokens. */
interface Part {
  tokens: string[];
  hasMore: boolean;
}

export class TextTokenizer {
  readonly #tokenizer: Tokenizer;
  readonly #files: TokenizerFiles;
  /** The most tokens of a sequence. */
  readonly maxLength: number;
  readonly #specials = new Map<boolean, number>();

  constructor(files: TokenizerFiles) {
    this.#files = files;
    this.#tokenizer = new Tokenizer(files.tokenizer, files.settings);
    this.maxLength = maxLengthOf(files);
  }

  /** The tokens of one text with the special tokens. */
  encode(text: string): Encoded {
    const room = Math.max(0, this.maxLength - this.#specialsOf(false));
    const part = this.#tokens(text, room);
    const kept = part.tokens.slice(0, room);
    return this.#sequence(kept, null, part.hasMore || kept.length < part.tokens.length);
  }

  /**
   * The tokens of two texts. `longest` shortens the longer text first, as transformers does; `first` shortens only the first text.
   */
  encodePair(text: string, pair: string, shorten: 'longest' | 'first'): Encoded {
    // transformers takes an empty second text as no second text.
    if (pair === '') return this.encode(text);
    const room = Math.max(0, this.maxLength - this.#specialsOf(true));
    const [first, second] = [this.#tokens(text, room), this.#tokens(pair, room)];
    const counts = [first.tokens.length, second.tokens.length] as const;
    const areLong = Math.min(...counts) > room && (first.hasMore || second.hasMore);
    const isFirstShorter = areLong ? !this.#isLonger(text, pair) : counts[0] <= counts[1];
    const [keepFirst, keepSecond] = kept(...counts, { room, shorten, isFirstShorter });
    const truncated =
      first.hasMore || second.hasMore || keepFirst < first.tokens.length || keepSecond < second.tokens.length;
    return this.#sequence(first.tokens.slice(0, keepFirst), second.tokens.slice(0, keepSecond), truncated);
  }

  /** Whether the first of two long texts has more tokens. Counts the characters of very long texts. */
  #isLonger(text: string, pair: string): boolean {
    return text.length + pair.length > COUNTED_MAX
      ? text.length > pair.length
      : this.#split(text).length > this.#split(pair).length;
  }

  /** The tokens of a text without special tokens, as texts. */
  pieces(text: string): string[] {
    return this.#tokens(text, this.maxLength).tokens;
  }

  /** The text after the normalizer of the tokenizer. */
  normalized(text: string): string {
    const { normalizer } = this.#tokenizer;
    return normalizer === null ? text : normalizer(text);
  }

  /** The text of a token of the vocabulary. */
  word(id: number): string {
    return this.#tokenizer.decode([id]);
  }

  textOf(ids: number[]): string {
    return ids.length === 0 ? '' : this.#tokenizer.decode(ids, { skip_special_tokens: true });
  }

  idOf(token: string): number | undefined {
    return this.#tokenizer.token_to_id(token);
  }

  /** The number of special tokens before the first text. */
  get leading(): number {
    return this.#processed(['x'], null).tokens.indexOf('x');
  }

  /** The number of special tokens around one text. */
  get specials(): number {
    return this.#specialsOf(false);
  }

  get unknownToken(): string | undefined {
    return this.#tokenizer.model?.unk_token;
  }

  get maskToken(): string | undefined {
    return tokenText(this.#files.settings.mask_token);
  }

  /** The tokens of the start of a text that has at least `most` tokens, or of the whole text. */
  #tokens(text: string, most: number): Part {
    for (let length = CHARACTERS_PER_TOKEN * (most + 1); length < text.length; length *= 4) {
      const end = wordEnd(text, length);
      const tokens = this.#split(text.slice(0, end));
      // The last word can be incomplete.
      if (tokens.length > most + 1) return { tokens: tokens.slice(0, most + 1), hasMore: true };
    }
    return { tokens: this.#split(text), hasMore: false };
  }

  /** Not for the empty text, for which the library returns undefined. */
  #split(text: string): string[] {
    return text === '' ? [] : this.#tokenizer.tokenize(text, { add_special_tokens: false });
  }

  #specialsOf(isPair: boolean): number {
    let count = this.#specials.get(isPair);
    if (count === undefined) {
      count = this.#processed([], isPair ? [] : null).tokens.length;
      this.#specials.set(isPair, count);
    }
    return count;
  }

  #processed(tokens: string[], pair: string[] | null): { tokens: string[]; types: number[] | undefined } {
    const { post_processor: processor } = this.#tokenizer;
    if (processor === null) return { tokens: [...tokens, ...(pair ?? [])], types: undefined };
    const processed = processor(tokens, pair, true);
    return { tokens: processed.tokens, types: processed.token_type_ids };
  }

  #sequence(tokens: string[], pair: string[] | null, truncated: boolean): Encoded {
    const processed = this.#processed(tokens, pair);
    const unknown = this.#tokenizer.model?.unk_token_id;
    const ids = processed.tokens.map((token) => this.#tokenizer.token_to_id(token) ?? unknown);
    const missing = ids.indexOf(undefined);
    if (missing >= 0)
      throw new InputError({
        pointer: '/text',
        message: `The vocabulary of the model has no token for ${JSON.stringify(processed.tokens[missing])}, and no token for unknown words.`,
      });
    const known = ids.filter((id) => id !== undefined);
    const { types } = processed;
    return {
      // A model takes at least one token.
      ids: known.length > 0 ? known : [padIdOf(this.#files.config)],
      ...(types?.some((type) => type !== 0) ? { types } : {}),
      ...(truncated ? { truncated: true as const } : {}),
    };
  }
}

/** How many tokens of each text remain in the room. */
function kept(
  first: number,
  second: number,
  { room, shorten, isFirstShorter }: { room: number; shorten: 'longest' | 'first'; isFirstShorter: boolean },
): readonly [number, number] {
  if (first + second <= room) return [first, second];
  if (shorten === 'first' && second < room) return [room - second, second];
  // The rule of the tokenizers library: the shorter text stays whole if it takes at most half of the room.
  const least = Math.min(first, second);
  const [short, long] = least > room / 2 ? [Math.floor(room / 2), room - Math.floor(room / 2)] : [least, room - least];
  return isFirstShorter ? [short, long] : [long, short];
}

/** The end of the word at a place of the text, or the place if the word is long. Never between the halves of a character. */
function wordEnd(text: string, from: number): number {
  const most = Math.min(text.length, from + 256);
  for (let at = from; at < most; at++) if (/\s/.test(text[at] ?? '')) return at;
  const code = text.charCodeAt(from);
  return code >= 0xdc00 && code <= 0xdfff ? from + 1 : from;
}

export const padIdOf = (config: JsonObject): number => numberOf(config.pad_token_id) ?? 0;

/** A token in tokenizer_config.json is a text, or an object with the text. */
const tokenText = (token: unknown): string | undefined => textOf(token) ?? textOf(objectOf(token).content);

/** The smallest limit in the files. */
function maxLengthOf({ settings, config, sentences, fixedLength }: TokenizerFiles): number {
  const positions = numberOf(config.max_position_embeddings) ?? numberOf(config.n_positions);
  // The positions of RoBERTa and its relatives begin after the id of the padding token.
  const offset = /roberta|camembert|xlm-roberta|mpnet|longformer/.test(textOf(config.model_type) ?? '')
    ? padIdOf(config) + 1
    : 0;
  const limits = [
    numberOf(settings.model_max_length),
    numberOf(sentences.max_seq_length),
    positions === undefined ? undefined : positions - offset,
    fixedLength,
  ].filter((limit) => limit !== undefined && limit > 0 && limit <= LENGTH_MAX);
  return limits.length === 0 ? LENGTH_DEFAULT : Math.min(...limits.map((limit) => limit ?? LENGTH_DEFAULT));
}
