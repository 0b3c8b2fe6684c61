/** `types`: writes the input and output types of the server's models for `@millrace/client`. */
import { writeFile } from 'node:fs/promises';
import type { components } from '@millrace/client';
import type { Command } from 'commander';
import { type Context, openContext, withServer } from '../program/context.ts';
import { schemaType } from './schema-type.ts';

export function addTypes(program: Command): void {
  withServer(program.command('types'))
    .description('write the input and output types of the models for @millrace/client')
    .option('-o, --output <file>', 'write a file instead of standard output, such as millrace-models.d.ts')
    .action(async (options: { output?: string }) => types(await openContext(options), options.output));
}

type Version = components['schemas']['Version'];
type ModelSchemas = Pick<Version, 'model' | 'version' | 'inputs' | 'outputs' | 'input_schema' | 'output_schema'>;

async function types({ millrace, out, signal }: Context, file: string | undefined): Promise<void> {
  const found: ModelSchemas[] = [];
  for await (const { name, default_version } of millrace.models.list({ signal })) {
    if (default_version === null) continue;
    const { model, version, inputs, outputs, input_schema, output_schema } = await millrace.models.version(
      name,
      default_version,
      { signal },
    );
    found.push({ model, version, inputs, outputs, input_schema, output_schema });
  }
  const text = declarationOf(found);
  if (file === undefined) return out.result({ models: found, declaration: text }, () => text.trimEnd());
  await writeFile(file, text);
  out.result(
    { file, models: found.map(({ model }) => model) },
    () => `${file} has the types of ${found.length} models`,
  );
}

/** The forms of a tensor in JSON (docs/models.md). */
const TENSORS = `type Value = number | string | boolean;
type Nested = Value | Nested[];
type TensorInput = Nested | { shape: number[]; data: Value[] } | { shape: number[]; base64: string };
type TensorOutput<Type extends string> = { dtype: Type; shape: number[]; data: Value[] };
`;

export function declarationOf(models: readonly ModelSchemas[]): string {
  const members = models.map((model) => {
    const comment = `    /** Version ${model.version.replaceAll('*/', '')}. */`;
    const input = model.input_schema === null ? tensorInputs(model) : schemaType(model.input_schema);
    const output = model.output_schema === null ? tensorOutputs(model) : schemaType(model.output_schema);
    return `${comment}\n    ${JSON.stringify(model.model)}: {\n      input: ${input};\n      output: ${output};\n    };\n`;
  });
  const text = members.join('');
  return `// Written by \`millrace types\`. Run the command again after a change of the models.
import '@millrace/client';

${text.includes('Tensor') ? `${TENSORS}\n` : ''}declare module '@millrace/client' {
  interface ModelTypes {
${text}  }
}
`;
}

const tensorInputs = ({ inputs }: ModelSchemas): string =>
  `{ ${inputs.map(({ name }) => `${JSON.stringify(name)}: TensorInput`).join('; ')} }`;

const tensorOutputs = ({ outputs }: ModelSchemas): string =>
  `{ ${outputs.map(({ name, dtype }) => `${JSON.stringify(name)}: TensorOutput<${JSON.stringify(dtype)}>`).join('; ')} }`;
