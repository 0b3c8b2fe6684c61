/**
 * Two drugs, by name or structure, to the tensors of the drug-interaction model, and its probability back to an answer.
 *
 * A drug that the `drug` entity lists becomes its key. One that it does not is described by RDKit, which is loaded when
 * the first structure is asked about, and in the API alone: the canonical form of a new drug carries its features with
 * it. They are computed by the recipe of training/features.py, and handler.test.ts holds the two to the same bits: the
 * RDKit in package.json and the one in training/requirements.txt must be of the same release.
 */
import { defineHandler, type Entities, InputError, type Static, Type } from '@millrace/shared/handler';
import loadModule, { type MainModule, type Mol } from '@rdkit/rdkit';

const DESCRIPTORS = [
  'amw',
  'CrippenClogP',
  'FractionCSP3',
  'labuteASA',
  'NumAromaticRings',
  'NumHBA',
  'NumHBD',
  'NumRings',
  'NumRotatableBonds',
  'Phi',
  'tpsa',
  'CrippenMR',
] as const;

// Counted up to GROUP_MAX each; the names are in training/features.py.
const GROUPS = [
  '[#7;+,$([N;H2&+0][$([C,a]);!$([C,a](=O))]),$([N;H1&+0]([$([C,a]);!$([C,a](=O))])[$([C,a]);!$([C,a](=O))]),' +
    '$([N;H0&+0]([C;!$(C(=O))])([C;!$(C(=O))])[C;!$(C(=O))])]',
  '[$([C,S](=[O,S,P])-[O;H1,-1])]',
  '[F,Cl,Br,I]',
  '[NX3;H0]([CX4])([CX4])[CX4]',
  '[NX3;H1]([CX4])[CX4]',
  'c[OH]',
];
const GROUP_MAX = 3;
const NUMBERS = DESCRIPTORS.length + GROUPS.length;

const BITS = 1024;
const ATOM_PAIRS = JSON.stringify({ nBits: BITS });
const PATHS = JSON.stringify({ nBits: BITS, minPath: 1, maxPath: 5 });
const WORDS = (2 * BITS) / 16;

/** Numbers in the structure part of a drug's vector: descriptors, counts of groups, fingerprint words of 16 bits. */
const STRUCTURE_WIDTH = NUMBERS + WORDS;

const SMILES_LENGTH_MAX = 1000;
// The largest listed drug has 101 atoms and ten rings. From some 600 atoms on RDKit's recursion overruns the stack of
// its WebAssembly, unnoticed: it hangs, or is broken from then on. And its work grows steeply with rings.
const ATOMS_MAX = 150;
const RINGS_MAX = 24;

const ATOM = /\[[^\]]*\]|Br|Cl|[BCNOPSFIbcnops]/g;
// Elements whose valence bounds how crowded an atom can be, and with that the number of paths through it.
const BRACKET =
  '\\[\\d*(?:H|Li|B|C|N|O|F|Na|Mg|Si|P|S|Cl|K|Ca|As|Se|Br|I|b|c|n|o|p|s|as|se)@{0,2}(?:H\\d*)?(?:[+-]+\\d*)?(?::\\d+)?\\]';
const SMILES = new RegExp(`^(?:${BRACKET}|Br|Cl|[BCNOPSFIbcnops]|%\\d\\d|[\\d\\-=#:/\\\\.()~$])+$`);

/** Whether a text is made of atoms and bonds as a SMILES of the model's chemistry is; it may still not parse. */
function looksLikeSmiles(text: string): boolean {
  return SMILES.test(text);
}

/** Why a text that looks like a SMILES is too little or too much to work on; undefined when it is neither. */
function outOfBounds(smiles: string): string | undefined {
  const atoms = smiles.match(ATOM) ?? [];
  if (atoms.filter(isHeavy).length < 2) return 'has fewer than two atoms, which leaves nothing to compare';
  if (atoms.length > ATOMS_MAX) return `has ${atoms.length} atoms; ${ATOMS_MAX} are the most`;
  const closures = smiles.replace(/\[[^\]]*\]/g, '').match(/%\d\d|\d/g) ?? [];
  return closures.length / 2 > RINGS_MAX ? `has more than ${RINGS_MAX} rings` : undefined;
}

/** RDKit, loaded. Its memory outlives JavaScript's, so every molecule taken from it is given back. */
class Chemistry {
  readonly #module: MainModule;
  readonly #groups: Mol[];

  constructor(module: MainModule) {
    this.#module = module;
    this.#groups = GROUPS.map((smarts) => {
      const pattern = module.get_qmol(smarts);
      if (pattern === null) throw new Error(`RDKit cannot read the pattern ${smarts}`);
      return pattern;
    });
  }

  /** Canonical SMILES and InChIKey ('' for none) of a structure's largest part; undefined if it does not parse. */
  identify(text: string): { smiles: string; inchikey: string } | undefined {
    const whole = this.#module.get_mol(text);
    if (whole === null) return undefined;
    const canonical = whole.get_smiles();
    whole.delete();
    const smiles = this.#largestPart(canonical);
    return this.#with(smiles, (molecule) => {
      const inchi = molecule.get_inchi();
      return { smiles, inchikey: inchi === '' ? '' : this.#module.get_inchikey_for_inchi(inchi) };
    });
  }

  /**
   * Numbers (float32), then fingerprint bits; see `writeStructure`. Of a canonical SMILES, as in training: the order in
   * which a caller wrote the atoms decides nothing.
   */
  featuresOf(smiles: string): Buffer | undefined {
    return this.#with(smiles, (molecule) => this.#features(molecule));
  }

  #with<T>(smiles: string, use: (molecule: Mol) => T): T | undefined {
    const molecule = this.#module.get_mol(smiles);
    try {
      return molecule === null ? undefined : use(molecule);
    } finally {
      molecule?.delete();
    }
  }

  /** The part with the most atoms other than hydrogen; of equal ones the first by SMILES. */
  #largestPart(smiles: string): string {
    const parts = smiles.split('.').map((part) => ({ part, atoms: (part.match(ATOM) ?? []).filter(isHeavy).length }));
    parts.sort((x, y) => y.atoms - x.atoms || (x.part < y.part ? -1 : 1));
    return parts[0]?.part ?? smiles;
  }

  #features(molecule: Mol): Buffer {
    const bytes = Buffer.alloc(NUMBERS * 4 + (2 * BITS) / 8);
    const descriptors = JSON.parse(molecule.get_descriptors()) as Record<string, number>;
    DESCRIPTORS.forEach((name, index) => {
      bytes.writeFloatLE(descriptors[name] ?? Number.NaN, index * 4);
    });
    this.#groups.forEach((pattern, index) => {
      const matches = JSON.parse(molecule.get_substruct_matches(pattern)) as unknown; // an empty object for none
      const count = Array.isArray(matches) ? Math.min(matches.length, GROUP_MAX) : 0;
      bytes.writeFloatLE(count, (DESCRIPTORS.length + index) * 4);
    });
    bytes.set(molecule.get_atom_pair_fp_as_uint8array(ATOM_PAIRS), NUMBERS * 4);
    bytes.set(molecule.get_rdkit_fp_as_uint8array(PATHS), NUMBERS * 4 + BITS / 8);
    return bytes;
  }
}

function isHeavy(atom: string): boolean {
  return !/^\[\d*H[+\]]/.test(atom);
}

/** Loads a fresh RDKit, in some 100 ms. */
export async function loadChemistry(): Promise<Chemistry> {
  // The package is CommonJS: its types call the function `default`, Node hands over the function itself.
  const module = await (loadModule as unknown as () => Promise<MainModule>)();
  module.disable_logging();
  return new Chemistry(module);
}

/** Features spread into the structure part of a vector: numbers, then the bits, sixteen to a number, lowest first. */
export function writeStructure(features: Buffer, into: Float32Array, offset: number): void {
  for (let i = 0; i < NUMBERS; i++) into[offset + i] = features.readFloatLE(i * 4);
  for (let i = 0; i < WORDS; i++) into[offset + NUMBERS + i] = features.readUInt16LE(NUMBERS * 4 + 2 * i);
}

// The layout of a drug's vector, as training/graph.py has it: known (1 or 0), embedding, structure.
const DIMENSIONS = 64;
const STRUCTURE_AT = 1 + DIMENSIONS;
const WIDTH = STRUCTURE_AT + STRUCTURE_WIDTH;

const SmilesInput = Type.Object(
  { smiles: Type.String({ minLength: 1, maxLength: SMILES_LENGTH_MAX, examples: ['CC(=O)Oc1ccccc1C(=O)O'] }) },
  { additionalProperties: false, description: 'A structure, as SMILES.' },
);

function drugInput(examples: string[]) {
  return Type.Union([
    Type.String({
      minLength: 1,
      maxLength: SMILES_LENGTH_MAX,
      description:
        'A name, alias or InChIKey, in any case; else a SMILES. What is a known name is never read as a SMILES.',
      examples,
    }),
    SmilesInput,
  ]);
}

const Input = Type.Object(
  { drug_a: drugInput(['Warfarin', 'aspirin']), drug_b: drugInput(['Fluconazole', 'CN1C=NC2=C1C(=O)N(C)C(=O)N2C']) },
  { additionalProperties: false },
);

const Output = Type.Object({
  interaction: Type.Boolean({ description: 'Whether the probability is 0.5 or more.' }),
  probability: Type.Number({ minimum: 0, maximum: 1, description: 'That the two are known to interact.' }),
  drug_a: Type.String({ description: 'A drug of the pair: its name, or its SMILES when it is new.' }),
  drug_b: Type.String({ description: 'The other one. The order does not depend on how the question was put.' }),
  basis: Type.Union([Type.Literal('structure and profile'), Type.Literal('profile'), Type.Literal('structure')], {
    description:
      'What the answer rests on: structures and known interactions of both; known interactions alone, where a drug has ' +
      'no single structure; or, when a drug is new, what its structural neighbours are known for.',
  }),
});

type DrugInput = Static<typeof Input>['drug_a'];
/** A known drug's key, or a new drug's canonical SMILES and its features (base64). */
type Drug = string | { smiles: string; features: string };
type Row = [Drug, Drug];

let chemistry: Chemistry | undefined;
let loading: Promise<Chemistry> | undefined;

/** RDKit, loaded once for all who wait; a failed load is tried again by the next one who asks. */
function load(): Promise<Chemistry> {
  loading ??= loadChemistry().then(
    (loaded) => {
      chemistry = loaded;
      return loaded;
    },
    (error) => {
      loading = undefined;
      throw error;
    },
  );
  return loading;
}

function shorten(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

function unknown(pointer: string, text: string, why: string, entities: Entities): InputError {
  const suggestions = entities.near('drug', text.slice(0, 100), 5);
  const hint = suggestions.length > 0 ? ` Did you mean ${suggestions.join(', ')}?` : '';
  return new InputError({
    pointer,
    message: `"${shorten(text)}" ${why}.${hint}`,
    expected: 'a drug by name, alias or InChIKey, or a SMILES',
    got: shorten(text),
    suggestions,
  });
}

function unreadable(pointer: string, smiles: string, why: string): InputError {
  const got = shorten(smiles);
  return new InputError({ pointer, message: `"${got}" ${why}.`, expected: 'a valid SMILES', got });
}

/** The drug of a name, or of a SMILES seen before; undefined for what may be another. Throws InputError if none. */
function withoutRDKit(input: DrugInput, pointer: string, entities: Entities): Drug | undefined {
  const byName = typeof input === 'string';
  const text = byName ? input : input.smiles;
  const listed = byName ? entities.find('drug', text) : undefined;
  if (listed !== undefined) return listed.key;
  const seen = recall(text.trim(), entities);
  if (seen !== undefined) return seen;
  const at = byName ? pointer : `${pointer}/smiles`;
  if (!looksLikeSmiles(text.trim())) {
    if (byName) throw unknown(at, text, 'is neither a drug known here nor a valid SMILES', entities);
    throw unreadable(at, text, 'is not a valid SMILES: a part of it is no bond and no atom that the model knows');
  }
  const bound = outOfBounds(text.trim());
  if (bound !== undefined) throw unreadable(at, text, `as a SMILES ${bound}`);
  return undefined;
}

// What structures turned out to be: RDKit takes milliseconds, also for a question whose answer is cached. By entities,
// which are those of one version.
const REMEMBERED_MAX = 2000;
const remembered = new WeakMap<Entities, Map<string, Drug>>();

function recall(text: string, entities: Entities): Drug | undefined {
  return remembered.get(entities)?.get(text);
}

function remember(text: string, drug: Drug, entities: Entities): Drug {
  const drugs = remembered.get(entities) ?? new Map<string, Drug>();
  if (drugs.size >= REMEMBERED_MAX) drugs.delete(drugs.keys().next().value as string);
  remembered.set(entities, drugs.set(text, drug));
  return drug;
}

/** The drug a SMILES stands for: a listed one, whatever its charge and salt, or a new one; undefined if it is none. */
function identify(loaded: Chemistry, text: string, entities: Entities): Drug | undefined {
  const found = loaded.identify(text);
  if (found === undefined) return undefined;
  // The last letter of an InChIKey is the protonation. Drugs are listed uncharged: N.
  const listed = found.inchikey && entities.find('drug', `${found.inchikey.slice(0, -1)}N`);
  if (listed) return listed.key;
  const features = loaded.featuresOf(found.smiles);
  return features && { smiles: found.smiles, features: features.toString('base64') };
}

/** The same, with what RDKit cannot read told as an InputError. */
function fromSmiles(loaded: Chemistry, input: DrugInput, pointer: string, entities: Entities): Drug {
  const byName = typeof input === 'string';
  const text = (byName ? input : input.smiles).trim();
  const at = byName ? pointer : `${pointer}/smiles`;
  let drug: Drug | undefined;
  try {
    // Once more: another who waited for RDKit may have asked about the same.
    drug = recall(text, entities) ?? identify(loaded, text, entities);
  } catch (error) {
    // A trap inside WebAssembly leaves RDKit broken for every later caller. The next one gets a fresh one.
    if (chemistry === loaded) {
      chemistry = undefined;
      loading = undefined;
    }
    throw Object.assign(unreadable(at, text, 'is a SMILES that RDKit breaks on'), { cause: error });
  }
  if (drug !== undefined) return remember(text, drug, entities);
  if (byName) throw unknown(at, text, 'is not a drug known here, and as a SMILES it does not parse', entities);
  throw unreadable(at, text, 'is not a valid SMILES: it does not parse');
}

function nameOf(drug: Drug, entities: Entities): string {
  return typeof drug === 'string' ? (entities.get('drug', drug)?.name ?? drug) : drug.smiles;
}

/** The pair in the order that both ways of asking share: descending, so that the documented example keeps its own. */
function pair(a: Drug, b: Drug, entities: Entities): Row {
  const [first, second] = [a, b].map((drug) => (typeof drug === 'string' ? drug : drug.smiles)) as [string, string];
  if (first !== second) return first > second ? [a, b] : [b, a];
  const got = nameOf(a, entities);
  throw new InputError({
    pointer: '/drug_b',
    message: `drug_a and drug_b are the same drug, ${got}.`,
    expected: 'two different drugs',
    got,
  });
}

function writeVector(drug: Drug, into: Float32Array, offset: number, entities: Entities): void {
  if (typeof drug !== 'string') {
    writeStructure(Buffer.from(drug.features, 'base64'), into, offset + STRUCTURE_AT);
    return;
  }
  const vector = entities.get('drug', drug)?.vector;
  if (vector === undefined) throw new Error(`no vector for drug ${drug}`);
  if (vector.length !== WIDTH) throw new Error(`the vector of ${drug} has ${vector.length} numbers, not ${WIDTH}`);
  into.set(vector, offset);
}

function basisOf(row: Row, entities: Entities): Static<typeof Output>['basis'] {
  if (row.some((drug) => typeof drug !== 'string')) return 'structure';
  const drawn = row.every((key) => entities.get('drug', key as string)?.attributes.smiles);
  return drawn ? 'structure and profile' : 'profile';
}

export default defineHandler({
  input: Input,
  output: Output,

  canonicalize(input, { entities }): Row | Promise<Row> {
    const a = withoutRDKit(input.drug_a, '/drug_a', entities);
    const b = withoutRDKit(input.drug_b, '/drug_b', entities);
    if (a !== undefined && b !== undefined) return pair(a, b, entities);
    const finish = (loaded: Chemistry) =>
      pair(
        a ?? fromSmiles(loaded, input.drug_a, '/drug_a', entities),
        b ?? fromSmiles(loaded, input.drug_b, '/drug_b', entities),
        entities,
      );
    return chemistry === undefined ? load().then(finish) : finish(chemistry);
  },

  encode(rows, { entities }) {
    const a = new Float32Array(rows.length * WIDTH);
    const b = new Float32Array(rows.length * WIDTH);
    rows.forEach(([first, second], index) => {
      writeVector(first, a, index * WIDTH, entities);
      writeVector(second, b, index * WIDTH, entities);
    });
    const dims = [rows.length, WIDTH];
    return { a: { dtype: 'float32', dims, data: a }, b: { dtype: 'float32', dims, data: b } };
  },

  decode(tensors, rows, { entities }) {
    const probabilities = tensors.probability?.data as Float32Array;
    return rows.map((row, index) => {
      // Six decimals: a float32 has no more to say, and the answer stays short.
      const probability = Math.round((probabilities[index] as number) * 1e6) / 1e6;
      return {
        interaction: probability >= 0.5,
        probability,
        drug_a: nameOf(row[0], entities),
        drug_b: nameOf(row[1], entities),
        basis: basisOf(row, entities),
      };
    });
  },
});
