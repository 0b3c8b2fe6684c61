/**
 * Two drugs, by name or structure, to the tensors of the drug-interaction model, and its probability back to an answer.
 *
 * A drug that the `drug` entity lists becomes its key. One that it does not is described here, by RDKit, with the
 * recipe of training/features.py; vectors.test.ts holds the two recipes to the same bits. RDKit is loaded when the first
 * structure is asked about, and in the API alone: the canonical form of a new drug carries its features with it.
 */
import { defineHandler, type Entities, type Entity, InputError, type Static, Type } from '@millrace/shared/handler';
import loadRDKit, { type MainModule, type Mol } from '@rdkit/rdkit';

// The layout of a drug's vector, as training/graph.py has it: known (1 or 0), embedding, descriptors, counts of groups,
// fingerprint words.
const DIMENSIONS = 64;
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
const WORDS = (2 * BITS) / 16;
const STRUCTURE_AT = 1 + DIMENSIONS;
const WIDTH = STRUCTURE_AT + NUMBERS + WORDS;

// RDKit's work grows steeply with size and with rings; these bounds hold every listed drug several times over and keep
// the slowest accepted structure from stopping the API's event loop for long.
const SMILES_LENGTH_MAX = 1000;
const RINGS_MAX = 24;

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
        'A name, an alias or an InChIKey, in any case; else a SMILES. A known name is never read as a SMILES.',
      examples,
    }),
    SmilesInput,
  ]);
}

const Input = Type.Object(
  { drug_a: drugInput(['Warfarin', 'aspirin']), drug_b: drugInput(['Fluconazole', 'CC(C)Cc1ccc(cc1)C(C)C(=O)O']) },
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

let rdkit: MainModule | undefined;
let loading: Promise<MainModule> | undefined;

/** RDKit, loaded once; a failed load is tried again by the next one who asks. */
function load(): Promise<MainModule> {
  // The package is CommonJS: its types call the function `default`, Node hands over the function itself.
  loading ??= (loadRDKit as unknown as () => Promise<MainModule>)().then(
    (module) => {
      module.disable_logging();
      rdkit = module;
      return module;
    },
    (error) => {
      loading = undefined;
      throw error;
    },
  );
  return loading;
}

// Elements whose valences bound how crowded an atom can be, and with it the number of paths through it.
const TOKEN =
  /^(?:\[\d*(?:H|B|C|N|O|F|Na|Mg|Si|P|S|Cl|K|Ca|As|Se|Br|Li|I|b|c|n|o|p|s|as|se)[@A-Z]{0,3}\d*(?:H\d*)?(?:[+-]+\d*)?(?::\d+)?\]|Br|Cl|[BCNOPSFIbcnops]|%\d\d|[\d\-=#:/\\.()~$])+$/;

function ringBonds(smiles: string): number {
  const closures = smiles.replace(/\[[^\]]*\]/g, '').match(/%\d\d|\d/g);
  return (closures?.length ?? 0) / 2;
}

/** The heaviest part of a structure of several (a salt, a hydrate); of equal ones the first by SMILES. */
function largestPart(module: MainModule, smiles: string): string {
  if (!smiles.includes('.')) return smiles;
  const sized = smiles.split('.').map((part) => {
    const molecule = module.get_mol(part);
    const atoms = molecule?.get_num_atoms(true) ?? 0;
    molecule?.delete();
    return { part, atoms };
  });
  sized.sort((x, y) => y.atoms - x.atoms || (x.part < y.part ? -1 : 1));
  return sized[0]?.part ?? smiles;
}

let patterns: Mol[] | undefined;

function groupsOf(module: MainModule, molecule: Mol): number[] {
  patterns ??= GROUPS.map((smarts) => module.get_qmol(smarts) as Mol);
  return patterns.map((pattern) => {
    const matches = JSON.parse(molecule.get_substruct_matches(pattern)) as unknown;
    return Array.isArray(matches) ? Math.min(matches.length, GROUP_MAX) : 0; // none is an empty object
  });
}

/** The features of a molecule, as training/features.py computes them: numbers (float32), then fingerprint bits. */
export function featuresOf(module: MainModule, molecule: Mol): Buffer {
  const bytes = Buffer.alloc(NUMBERS * 4 + (2 * BITS) / 8);
  const descriptors = JSON.parse(molecule.get_descriptors()) as Record<string, number>;
  const numbers = [...DESCRIPTORS.map((name) => descriptors[name] ?? Number.NaN), ...groupsOf(module, molecule)];
  numbers.forEach((value, index) => {
    bytes.writeFloatLE(value, index * 4);
  });
  bytes.set(molecule.get_atom_pair_fp_as_uint8array(JSON.stringify({ nBits: BITS })), NUMBERS * 4);
  const paths = molecule.get_rdkit_fp_as_uint8array(JSON.stringify({ nBits: BITS, minPath: 1, maxPath: 5 }));
  bytes.set(paths, NUMBERS * 4 + BITS / 8);
  return bytes;
}

/** Features spread into the structure part of a vector: numbers, then the bits, sixteen to a number. */
export function writeStructure(features: Buffer, into: Float32Array, offset: number): void {
  for (let i = 0; i < NUMBERS; i++) into[offset + i] = features.readFloatLE(i * 4);
  for (let i = 0; i < WORDS; i++) into[offset + NUMBERS + i] = features.readUInt16LE(NUMBERS * 4 + 2 * i);
}

/** The listed drug that a molecule is: whatever its charge; and drawn without stereochemistry, if only one fits. */
function listedAs(module: MainModule, molecule: Mol, entities: Entities): Entity | undefined {
  const key = module.get_inchikey_for_inchi(molecule.get_inchi());
  // The last letter tells the protonation: N is none.
  return key === '' ? undefined : entities.find('drug', `${key.slice(0, -1)}N`);
}

function unknown(pointer: string, text: string, entities: Entities, message: string): InputError {
  const suggestions = entities.near('drug', text.slice(0, 100), 5);
  const shown = text.length > 60 ? `${text.slice(0, 60)}…` : text;
  const hint = suggestions.length > 0 ? ` Did you mean ${suggestions.join(', ')}?` : '';
  return new InputError({
    pointer,
    message: `"${shown}" ${message}${hint}`,
    expected: 'a drug by name, alias or InChIKey, or a SMILES',
    got: shown,
    suggestions,
  });
}

function unreadable(pointer: string, smiles: string, why: string): InputError {
  const shown = smiles.length > 60 ? `${smiles.slice(0, 60)}…` : smiles;
  return new InputError({ pointer, message: `"${shown}" ${why}`, expected: 'a valid SMILES', got: shown });
}

/** A structure to the drug it is. Throws InputError when it is none. */
function fromSmiles(module: MainModule, input: DrugInput, pointer: string, entities: Entities): Drug {
  const named = typeof input === 'string';
  const text = (named ? input : input.smiles).trim();
  const at = named ? pointer : `${pointer}/smiles`;
  if (ringBonds(text) > RINGS_MAX) throw unreadable(at, text, `is a SMILES with more than ${RINGS_MAX} rings.`);
  const whole = module.get_mol(text);
  if (whole === null) {
    if (named) throw unknown(at, text, entities, 'is not a drug known here, and as a SMILES it does not parse.');
    throw unreadable(at, text, 'is not a valid SMILES: it does not parse.');
  }
  const smiles = largestPart(module, whole.get_smiles());
  whole.delete();
  // Read again from its canonical SMILES, as training does: atom order decides nothing.
  const molecule = module.get_mol(smiles);
  if (molecule === null) throw unreadable(at, text, 'is not a valid SMILES: it does not parse.');
  try {
    if (molecule.get_num_atoms(true) < 2) throw unreadable(at, text, 'is a SMILES of fewer than two atoms.');
    const listed = listedAs(module, molecule, entities);
    if (listed !== undefined) return listed.key;
    return { smiles, features: featuresOf(module, molecule).toString('base64') };
  } finally {
    molecule.delete();
  }
}

/** The key of a drug given by name; undefined for what may be a SMILES. Throws InputError for what is neither. */
function fromName(input: DrugInput, pointer: string, entities: Entities): string | undefined {
  if (typeof input !== 'string') {
    if (TOKEN.test(input.smiles.trim())) return undefined;
    throw unreadable(
      `${pointer}/smiles`,
      input.smiles,
      'is not a valid SMILES: it has a part that is no atom or bond.',
    );
  }
  const listed = entities.find('drug', input);
  if (listed !== undefined) return listed.key;
  if (TOKEN.test(input.trim())) return undefined;
  throw unknown(pointer, input, entities, 'is neither a drug known here nor a valid SMILES.');
}

function order(drug: Drug): string {
  return typeof drug === 'string' ? drug : drug.smiles;
}

/** The pair in the one order that both ways of asking share: descending, so that the documented example keeps its own. */
function pair(a: Drug, b: Drug, entities: Entities): Row {
  const first = order(a);
  const second = order(b);
  if (first === second) {
    const name = nameOf(a, entities);
    throw new InputError({
      pointer: '/drug_b',
      message: `drug_a and drug_b are the same drug, ${name}.`,
      expected: 'two different drugs',
      got: name,
    });
  }
  return first > second ? [a, b] : [b, a];
}

function nameOf(drug: Drug, entities: Entities): string {
  return typeof drug === 'string' ? (entities.get('drug', drug)?.name ?? drug) : drug.smiles;
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

function basisOf([a, b]: Row, entities: Entities): Static<typeof Output>['basis'] {
  if (typeof a !== 'string' || typeof b !== 'string') return 'structure';
  const drawn = (key: string) => entities.get('drug', key)?.attributes.smiles !== '';
  return drawn(a) && drawn(b) ? 'structure and profile' : 'profile';
}

export default defineHandler({
  input: Input,
  output: Output,

  canonicalize(input, { entities }): Row | Promise<Row> {
    const a = fromName(input.drug_a, '/drug_a', entities);
    const b = fromName(input.drug_b, '/drug_b', entities);
    if (a !== undefined && b !== undefined) return pair(a, b, entities);
    const finish = (module: MainModule) =>
      pair(
        a ?? fromSmiles(module, input.drug_a, '/drug_a', entities),
        b ?? fromSmiles(module, input.drug_b, '/drug_b', entities),
        entities,
      );
    return rdkit === undefined ? load().then(finish) : finish(rdkit);
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
      // Six decimals: float32 has no more to say, and the answer stays short.
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
