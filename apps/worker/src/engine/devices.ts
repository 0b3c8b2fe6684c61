/**
 * The devices of a worker. A device is tried once, in a separate engine, when the first version that names its provider is found:
 * a driver can hang or end its process.
 */
import {
  CPU,
  type Device,
  type EngineSettings,
  PROVIDERS,
  type Provider,
  parseDevice,
  providersOf,
} from '@millrace/shared/model-files/engine-settings';
import { ConfigError } from '@millrace/shared/process/config';
import type { Logger } from 'pino';
import { Engine } from './engine.ts';
import type { VersionEngine } from './protocol/loaded-version.ts';

export interface DevicesOptions {
  /** The value of ENGINE_DEVICES. Empty: `cpu`, and the first device of every provider. */
  names: readonly string[];
  log: Logger;
}

/** The devices of this worker for a version: `engine` for the load, or the reason why no named provider can be used, a sentence. */
export type DeviceChoice = { engine: VersionEngine; peakBytes: number } | { reason: string };

/** The result of the trials of all devices of a provider. */
interface Found {
  /** The numbers of the devices that run models. */
  ids: readonly number[];
  /** The most memory of an engine without a model. */
  peakBytes: number;
  /** Why the first device cannot be used. */
  fault: string | undefined;
  /** The process time until which the result is valid. A driver can be installed or repaired while the worker runs. */
  untilMs: number;
}

const MIB = 1_048_576;
const TRIAL_TIMEOUT_MS = 30_000;
/** The library of CUDA alone takes more than a gigabyte. */
const TRIAL_MEMORY_BYTES = 8_192 * MIB;
/** A device without success is tried again after this time, or after this multiple of the duration of the trial. */
const AGAIN_MS = 60_000;
const AGAIN_PER_TRIAL = 20;

export class Devices {
  readonly #options: DevicesOptions;
  /** The numbers of the devices that this worker may use, by provider. */
  readonly #allowed: ReadonlyMap<Provider, readonly number[]>;
  readonly #found = new Map<Provider, Found>();
  readonly #trials = new Map<Provider, Promise<Found>>();

  /** Throws ConfigError for an unknown provider. */
  constructor(options: DevicesOptions) {
    this.#options = options;
    this.#allowed = allowedDevices(options.names);
  }

  /** The providers that this worker has. Providers that no version names are not known. */
  get providers(): Provider[] {
    const found = [...this.#found].filter(([, { ids }]) => ids.length > 0).map(([name]) => name);
    return this.#allowed.has(CPU) ? [CPU, ...found] : found;
  }

  /** The choice for a version. Undefined while a trial that decides has not ended; `choose` waits for the trial. */
  known(settings: EngineSettings | undefined): DeviceChoice | undefined {
    const names = providersOf(settings);
    const isKnown = names.every((name) => !this.#needsTrial(name));
    return isKnown ? this.#choice(settings, names) : undefined;
  }

  async choose(settings: EngineSettings | undefined): Promise<DeviceChoice> {
    const names = providersOf(settings);
    for (const name of names) if (this.#needsTrial(name)) await this.#try(name);
    return this.#choice(settings, names);
  }

  #needsTrial(name: Provider): boolean {
    if (name === CPU || !this.#allowed.has(name)) return false;
    const found = this.#found.get(name);
    return found === undefined || performance.now() > found.untilMs;
  }

  #choice({ threads, instances }: EngineSettings = {}, names: readonly Provider[]): DeviceChoice {
    const providers = names
      .map((name) => ({ name, ids: name === CPU ? this.#allowedOf(CPU) : (this.#found.get(name)?.ids ?? []) }))
      .filter(({ ids }) => ids.length > 0);
    if (providers.length === 0) return { reason: this.#reasonOf(names) };
    const peakBytes = Math.max(...providers.map(({ name }) => this.#found.get(name)?.peakBytes ?? 0));
    return { engine: { providers, threads, instances }, peakBytes };
  }

  #allowedOf(name: Provider): readonly number[] {
    return this.#allowed.get(name) ?? [];
  }

  #reasonOf(names: readonly Provider[]): string {
    const faults = names.map((name) => {
      if (!this.#allowed.has(name))
        return `${name} (ENGINE_DEVICES of the worker has ${[...this.#allowed.keys()].join(', ')})`;
      return `${name} (${this.#found.get(name)?.fault ?? 'no device'})`;
    });
    const missing = names.find((name) => this.#allowed.has(name));
    const which = names.length === 1 ? 'the provider' : 'one of the providers';
    const cpu = names.includes(CPU) ? '' : ' Or name "cpu" as the last of the "providers" in model.json.';
    const fix = missing === undefined ? 'Add the device to ENGINE_DEVICES.' : INSTALLATION[missing];
    return `The version needs ${which} ${faults.join(', ')}. ${fix}${cpu}`;
  }

  #try(name: Provider): Promise<Found> {
    const running = this.#trials.get(name);
    if (running !== undefined) return running;
    const trial = this.#tryAll(name).finally(() => this.#trials.delete(name));
    this.#trials.set(name, trial);
    return trial;
  }

  async #tryAll(name: Provider): Promise<Found> {
    const begunMs = performance.now();
    const ids: number[] = [];
    let peakBytes = 0;
    let fault: string | undefined;
    for (const id of this.#allowedOf(name)) {
      const trial = await this.#tryOne({ provider: name, id });
      if (trial.fault === undefined) ids.push(id);
      else fault ??= trial.fault;
      peakBytes = Math.max(peakBytes, trial.peakBytes);
    }
    const nowMs = performance.now();
    const untilMs = ids.length > 0 ? Infinity : nowMs + Math.max(AGAIN_MS, AGAIN_PER_TRIAL * (nowMs - begunMs));
    const found = { ids, peakBytes, fault, untilMs };
    const before = this.#found.get(name);
    this.#found.set(name, found);
    const { log } = this.#options;
    if (ids.length > 0) log.info({ provider: name, devices: ids }, 'engines can use the provider');
    if (fault !== undefined && before?.fault !== fault)
      log.warn({ provider: name, devices: ids, reason: fault }, 'a device cannot be used');
    return found;
  }

  async #tryOne(device: Device): Promise<{ fault?: string; peakBytes: number }> {
    let engine: Engine | undefined;
    try {
      engine = await Engine.start({
        threads: 1,
        memoryLimitBytes: TRIAL_MEMORY_BYTES,
        onOutput: (line) => this.#options.log.debug({ ...device, line: line.slice(0, 500) }, 'device trial output'),
      });
      return await engine.tryDevice(device, TRIAL_TIMEOUT_MS);
    } catch (error) {
      return { fault: (error as Error).message, peakBytes: 0 };
    } finally {
      engine?.kill('the trial has ended', 'stopped');
      await engine?.exited;
    }
  }
}

function allowedDevices(names: readonly string[]): ReadonlyMap<Provider, readonly number[]> {
  if (names.length === 0) return new Map(PROVIDERS.map((provider) => [provider, [0]]));
  const allowed = new Map<Provider, number[]>();
  for (const name of names) {
    const device = parseDevice(name);
    if (device === undefined)
      throw new ConfigError([`ENGINE_DEVICES may hold devices of ${PROVIDERS.join(', ')}, and holds '${name}'.`]);
    const ids = allowed.get(device.provider) ?? [];
    if (!ids.includes(device.id)) allowed.set(device.provider, [...ids, device.id]);
  }
  return allowed;
}

const CUDA_LIBRARIES =
  'Install CUDA 12, cuDNN 9 and the libraries of onnxruntime: node node_modules/onnxruntime-node/script/install.js --onnxruntime-node-install=cuda12 (docs/devices.md).';

/** How a provider is installed, a sentence. */
const INSTALLATION: Readonly<Record<Provider, string>> = {
  cpu: 'Add cpu to ENGINE_DEVICES.',
  cuda: CUDA_LIBRARIES,
  tensorrt: `Install TensorRT 10. ${CUDA_LIBRARIES}`,
  webgpu: 'Install the Vulkan loader (libvulkan1) and the Vulkan driver of the GPU (docs/devices.md).',
  coreml: 'Run the worker on macOS.',
  dml: 'Run the worker on Windows.',
};
