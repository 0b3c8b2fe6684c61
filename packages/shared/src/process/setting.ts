/** A setting: its name in the environment, its kind, limits and default. */

type Kind = 'url' | 'integer' | 'number' | 'text' | 'list' | 'addresses' | 'flag' | 'secret';

export interface Setting {
  name: string;
  kind: Kind;
  /** The default as text, as in the environment; undefined when the setting has no default. */
  default: string | undefined;
  min?: number;
  max?: number;
  oneOf?: readonly string[];
  about: string;
}

/** A setting with its kind as a literal type. `Config` derives the type of the value from the kind. */
type Of<K extends Kind> = Setting & { kind: K };

export const text = (name: string, value: string | undefined, about: string): Of<'text'> => ({
  name,
  kind: 'text',
  default: value,
  about,
});
export const url = (name: string, value: string | undefined, about: string): Of<'url'> => ({
  name,
  kind: 'url',
  default: value,
  about,
});
export const secret = (name: string, about: string): Of<'secret'> => ({
  name,
  kind: 'secret',
  default: undefined,
  about,
});
export const list = (name: string, value: string, about: string): Of<'list'> => ({
  name,
  kind: 'list',
  default: value,
  about,
});
/** Addresses as `host` or `host:port`, separated by commas. */
export const addresses = (name: string, about: string): Of<'addresses'> => ({
  name,
  kind: 'addresses',
  default: '',
  about,
});
export const flag = (name: string, value: boolean, about: string): Of<'flag'> => ({
  name,
  kind: 'flag',
  default: String(value),
  about,
});
export const integer = (
  name: string,
  range: { default: number; min: number; max: number; about: string },
): Of<'integer'> => ({
  name,
  kind: 'integer',
  ...range,
  default: String(range.default),
});

export const MIB = 1_048_576;
