import { readFileSync } from 'node:fs';
import path from 'node:path';
import { InputError, type Json } from '@millrace/shared/handler';
import { fold } from '@millrace/shared/text/fold';
import Compile from 'typebox/compile';
import { describe, expect, test, vi } from 'vitest';
import { type Drug, entitiesOf, readDrugs } from './drugs.ts';
import handler, { loadChemistry, writeStructure } from './handler.ts';

// RDKit takes milliseconds for each of hundreds of structures, and other load can slow the machine.
vi.setConfig({ testTimeout: 60_000 });

const drugs = readDrugs();
const entities = entitiesOf(drugs);
const drawn = drugs.filter((drug) => drug.attributes.smiles !== '');

const STRUCTURE_AT = 65;

async function canonical(drug_a: unknown, drug_b: unknown): Promise<Json> {
  return handler.canonicalize({ drug_a, drug_b } as never, { entities });
}

async function refusal(drug_a: unknown, drug_b: unknown): Promise<InputError> {
  const error = await canonical(drug_a, drug_b).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(InputError);
  return error as InputError;
}

describe('drugs by name', () => {
  test('there are 196 drugs, and each name, alias and key belongs to one drug', () => {
    expect(drugs).toHaveLength(196);
    const owners = new Map<string, string>();
    for (const drug of drugs) {
      for (const name of new Set([drug.key, drug.name, ...drug.aliases].map(fold))) {
        expect(owners.get(name) ?? drug.key, `${name} belongs to two drugs`).toBe(drug.key);
        owners.set(name, drug.key);
      }
    }
  });

  test('every name and alias finds its drug, in capitals and with additional spaces', async () => {
    for (const drug of drugs) {
      const other = drug.key === 'warfarin' ? 'fluconazole' : 'warfarin';
      const expected = await canonical(drug.key, other);
      for (const name of [drug.name, ...drug.aliases]) {
        const spelt = `  ${name.toUpperCase().replaceAll(' ', '   ')} `;
        expect(await canonical(spelt, other), name).toEqual(expected);
      }
    }
  });

  test('a pair has the same canonical form in either order and spelling', async () => {
    const expected = await canonical('Warfarin', 'aspirin');
    expect(expected).toEqual(['warfarin', 'acetylsalicylic-acid']);
    expect(await canonical('Acetylsalicylic acid', 'WARFARIN')).toEqual(expected);
    expect(await canonical('Paracetamol', 'Warfarin')).toEqual(await canonical('warfarin', 'Acetaminophen'));
  });

  test('known names have their canonical form without a promise', () => {
    const rows = handler.canonicalize({ drug_a: 'Warfarin', drug_b: 'Fluconazole' }, { entities });
    expect(rows).not.toBeInstanceOf(Promise);
  });

  test('an unknown name is refused, with similar names as suggestions', async () => {
    const error = await refusal('Warfrin', 'aspirin');
    expect(error).toMatchObject({ pointer: '/drug_a', got: 'Warfrin' });
    expect(error.message).toContain('"Warfrin" is neither a drug known here nor a valid SMILES');
    expect(error.suggestions).toContain('Warfarin');
  });

  test('a drug with itself is refused', async () => {
    expect(await refusal('aspirin', 'Acetylsalicylic acid')).toMatchObject({ pointer: '/drug_b' });
    expect(await refusal('OCCCCO', { smiles: 'C(CCCO)O' })).toMatchObject({ pointer: '/drug_b' });
  });
});

describe('drugs by SMILES', () => {
  test('the SMILES of a listed drug finds the drug', async () => {
    for (const drug of drawn) {
      const other = drug.key === 'warfarin' ? 'fluconazole' : 'warfarin';
      const found = await canonical({ smiles: drug.attributes.smiles }, other);
      expect(found, drug.name).toEqual(await canonical(drug.key, other));
    }
  });

  test('another SMILES, a salt, a charge or a missing stereochemistry finds the same drug', async () => {
    const expected = await canonical('aspirin', 'Warfarin');
    for (const smiles of ['O=C(C)Oc1ccccc1C(=O)O', 'CC(=O)Oc1ccccc1C(=O)[O-].[Na+]', 'CC(=O)OC1=CC=CC=C1C(O)=O']) {
      expect(await canonical(smiles, 'Warfarin')).toEqual(expected);
      expect(await canonical({ smiles }, 'Warfarin')).toEqual(expected);
    }
    const flat = 'CCC(C)(C)C(=O)OC1CC(C)C=C2C=CC(C)C(CCC3CC(O)CC(=O)O3)C12';
    expect(await canonical(flat, 'Warfarin')).toEqual(await canonical('simvastatin', 'Warfarin'));
  });

  test('drugs that differ only in stereochemistry are distinguished', async () => {
    const [quinine, quinidine] = ['quinine', 'quinidine'].map((key) => entities.get('drug', key)?.attributes.smiles);
    expect(await canonical(quinine, 'Warfarin')).toEqual(await canonical('quinine', 'Warfarin'));
    expect(await canonical(quinidine, 'Warfarin')).toEqual(await canonical('quinidine', 'Warfarin'));
  });

  test('a new structure has the same canonical form for every atom order', async () => {
    const caffeine = await canonical('Warfarin', 'CN1C=NC2=C1C(=O)N(C)C(=O)N2C');
    expect(caffeine).toEqual(await canonical({ smiles: 'Cn1c(=O)c2c(ncn2C)n(C)c1=O' }, 'coumadin'));
    expect(caffeine).toEqual(['warfarin', { smiles: 'Cn1c(=O)c2c(ncn2C)n(C)c1=O', features: expect.any(String) }]);
  });

  test('a structure that was used before has its canonical form without a promise', async () => {
    const input = { drug_a: 'Warfarin', drug_b: 'NCCCCCCO' };
    const first = await handler.canonicalize(input, { entities });
    expect(handler.canonicalize(input, { entities })).toEqual(first);
  });

  test('a SMILES that does not parse is refused with this reason', async () => {
    for (const smiles of ['C1CC', 'CC(C', 'C(C)(C)(C)(C)C', 'cccc', 'C[Xx]C', 'not a smiles']) {
      const error = await refusal('Warfarin', { smiles });
      expect(error).toMatchObject({ pointer: '/drug_b/smiles', got: smiles, expected: 'a valid SMILES' });
      expect(error.message).toContain('is not a valid SMILES');
    }
    const error = await refusal('C1CC(', 'Warfarin');
    expect(error.pointer).toBe('/drug_a');
    expect(error.message).toContain('is not a drug known here, and as a SMILES it does not parse');
  });

  test('a structure that is too large or too small is refused before RDKit reads the structure', async () => {
    expect((await refusal({ smiles: 'C'.repeat(151) }, 'Warfarin')).message).toContain('150 are the most');
    expect((await refusal({ smiles: `C1CC1${'C1CC1'.repeat(25)}` }, 'Warfarin')).message).toContain(
      'more than 24 rings',
    );
    expect((await refusal({ smiles: 'C' }, 'Warfarin')).message).toContain('fewer than two atoms');
    await canonical({ smiles: 'C'.repeat(150) }, 'Warfarin');
  });
});

describe('vectors', () => {
  const fixture = JSON.parse(readFileSync(path.join(import.meta.dirname, 'fixtures/parity.json'), 'utf8')) as {
    structures: { smiles: string; structure: string }[];
  };

  test('RDKit computes the numbers of the training for every listed drug, to the bit', async () => {
    const chemistry = await loadChemistry();
    for (const drug of drawn) {
      const { smiles, inchikey } = drug.attributes as { smiles: string; inchikey: string };
      expect(chemistry.identify(smiles)).toEqual({ smiles, inchikey });
      const numbers = new Float32Array(drug.vector.length - STRUCTURE_AT);
      writeStructure(chemistry.featuresOf(smiles) as Buffer, numbers, 0);
      expect(Buffer.compare(Buffer.from(numbers.buffer), bytesOf(drug, STRUCTURE_AT)), drug.name).toBe(0);
    }
  });

  test('RDKit computes the numbers of the training for other compounds in any spelling', async () => {
    const chemistry = await loadChemistry();
    expect(fixture.structures.length).toBeGreaterThanOrEqual(60);
    for (const { smiles, structure } of fixture.structures) {
      const expected = Buffer.from(structure, 'base64');
      const numbers = new Float32Array(expected.length / 4);
      const canonicalSmiles = chemistry.identify(smiles)?.smiles as string;
      writeStructure(chemistry.featuresOf(canonicalSmiles) as Buffer, numbers, 0);
      expect(Buffer.compare(Buffer.from(numbers.buffer), expected), smiles).toBe(0);
    }
  });

  test('a drug without a structure has zeros as its structure numbers', () => {
    const undrawn = drugs.filter((drug) => drug.attributes.smiles === '');
    expect(undrawn.map((drug) => drug.name)).toEqual(['Colestipol', 'Desmopressin', 'Ixazomib']);
    for (const drug of undrawn) expect(drug.vector.subarray(STRUCTURE_AT).every((value) => value === 0)).toBe(true);
  });
});

describe('outputs', () => {
  const tensors = { probability: { dtype: 'float32' as const, dims: [3], data: new Float32Array([0.97, 0.5, 0.1]) } };

  test('an output names the drugs, rounds the probability and states the basis', async () => {
    const rows = (await Promise.all([
      canonical('Warfarin', 'Fluconazole'),
      canonical('Colestipol', 'aspirin'),
      canonical('Colestipol', 'CN1C=NC2=C1C(=O)N(C)C(=O)N2C'),
    ])) as never[];
    const outputs = await handler.decode(tensors, rows, { entities });
    expect(outputs).toEqual([
      {
        interaction: true,
        probability: 0.97,
        drug_a: 'Warfarin',
        drug_b: 'Fluconazole',
        basis: 'structure and profile',
      },
      {
        interaction: true,
        probability: 0.5,
        drug_a: 'Colestipol',
        drug_b: 'Acetylsalicylic acid',
        basis: 'profile',
      },
      {
        interaction: false,
        probability: 0.1,
        drug_a: 'Colestipol',
        drug_b: 'Cn1c(=O)c2c(ncn2C)n(C)c1=O',
        basis: 'structure',
      },
    ]);
    const validator = Compile(handler.output);
    for (const output of outputs) expect(validator.Check(output)).toBe(true);
  });

  test('the examples of model.json match the input schema', () => {
    const { examples } = JSON.parse(readFileSync(path.join(import.meta.dirname, 'model.json'), 'utf8')) as {
      examples: unknown[];
    };
    const validator = Compile(handler.input);
    expect(examples.length).toBeGreaterThan(0);
    for (const example of examples) expect(validator.Check(example)).toBe(true);
    for (const wrong of [{}, { drug_a: 'Warfarin' }, { drug_a: 1, drug_b: 'x' }, { drug_a: '', drug_b: 'x' }])
      expect(validator.Check(wrong)).toBe(false);
  });
});

function bytesOf(drug: Drug, from: number): Buffer {
  const part = drug.vector.slice(from);
  return Buffer.from(part.buffer);
}
