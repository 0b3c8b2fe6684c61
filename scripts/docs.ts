// `npm run docs`: writes the generated tables of docs/ and .env.example.
import { readFileSync, writeFileSync } from 'node:fs';
import { envExample, GENERATED, withTables } from './docs/tables.ts';

for (const [file, parts] of Object.entries(GENERATED))
  writeFileSync(file, withTables(readFileSync(file, 'utf8'), parts));
writeFileSync('.env.example', envExample());
