/** The types of the client are the types of the OpenAPI document. `-u` writes the file of the types again. */
import path from 'node:path';
import { expect, test } from 'vitest';
import { openApiTypes } from '../../packages/client/generate/openapi-types.ts';
import { useMillrace } from '../support/millrace.ts';

const FILE = path.resolve(import.meta.dirname, '../../packages/client/src/openapi.ts');
const millrace = useMillrace({ models: [] });

test('the types of the client are those of the OpenAPI document of the API', async () => {
  const { body } = await millrace.request('/openapi.json');
  await expect(await openApiTypes(body)).toMatchFileSnapshot(FILE);
});
