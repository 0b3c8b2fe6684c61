/** The field `engine` of model.json: the execution providers of onnxruntime, the threads and the engines of a model. */
import type { XStatic } from 'typebox/schema';

/** The execution providers that onnxruntime-node has on any platform. `cpu` is always there. */
export const PROVIDERS = ['cpu', 'cuda', 'tensorrt', 'webgpu', 'coreml', 'dml'] as const;
export type Provider = (typeof PROVIDERS)[number];

export const CPU = 'cpu';

/** Plain JSON Schema: TypeBox would take 9 MiB of a worker, which has no other use of TypeBox. */
export const EngineSettingsSchema = {
  type: 'object',
  properties: {
    providers: {
      type: 'array',
      items: { enum: PROVIDERS },
      minItems: 1,
      maxItems: PROVIDERS.length,
      uniqueItems: true,
      description:
        'Execution providers in the order of preference. The first provider that the machine has runs the model. Default `["cpu"]`.',
    },
    threads: {
      type: 'integer',
      minimum: 1,
      maximum: 256,
      description: 'Threads of one operator. Default: the cores of the worker divided by its engines.',
    },
    instances: {
      type: 'integer',
      minimum: 1,
      maximum: 256,
      description: 'Largest number of engines of a worker that load the model. Default: all engines.',
    },
  },
  additionalProperties: false,
} as const;

export type EngineSettings = XStatic<typeof EngineSettingsSchema>;

/** The providers of a version in the order of preference. */
export const providersOf = (engine: EngineSettings | undefined): readonly Provider[] => engine?.providers ?? [CPU];

/** A device of the setting ENGINE_DEVICES. */
export interface Device {
  provider: Provider;
  /** The number of the device, as the provider counts its devices. */
  id: number;
}

/** Parses `provider` or `provider:number`. Without a number the device has the number 0. Returns undefined for any other text. */
export function parseDevice(text: string): Device | undefined {
  const [, name, id = '0'] = /^([a-z]+)(?::(\d{1,3}))?$/.exec(text) ?? [];
  const provider = PROVIDERS.find((known) => known === name);
  return provider && { provider, id: Number(id) };
}
