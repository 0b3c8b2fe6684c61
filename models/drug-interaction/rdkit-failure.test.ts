import { InputError } from '@millrace/shared/handler';
import { expect, test, vi } from 'vitest';
import { entitiesOf, readDrugs } from './drugs.ts';
import handler from './handler.ts';

vi.setConfig({ testTimeout: 60_000 });

// After a trap, RDKit's WebAssembly traps on every call. In this test the first instance traps from the start.
const loads = vi.hoisted(() => ({ count: 0 }));
vi.mock('@rdkit/rdkit', async (importOriginal) => {
  const { default: load } = await importOriginal<{ default: () => Promise<object> }>();
  return {
    default: async () => {
      loads.count++;
      const module = await load();
      if (loads.count > 1) return module;
      const broken = Object.create(module) as { get_mol: () => never };
      broken.get_mol = () => {
        throw new Error('memory access out of bounds');
      };
      return broken;
    },
  };
});

test('a structure that breaks RDKit is refused, and the next caller gets a working RDKit', async () => {
  const entities = entitiesOf(readDrugs());
  const canonicalize = async () =>
    handler.canonicalize({ drug_a: 'Warfarin', drug_b: { smiles: 'CCO' } }, { entities });
  const [first, second] = await Promise.allSettled([canonicalize(), canonicalize()]);
  for (const outcome of [first, second]) {
    expect(outcome).toMatchObject({ status: 'rejected', reason: expect.any(InputError) });
    expect(String((outcome as PromiseRejectedResult).reason)).toContain('RDKit breaks on');
  }
  expect(await canonicalize()).toEqual(['warfarin', { smiles: 'CCO', features: expect.any(String) }]);
  await canonicalize();
  expect(loads.count).toBe(2);
});
