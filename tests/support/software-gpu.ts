/**
 * A GPU without hardware: the Vulkan driver SwiftShader, which Debian's package `chromium` has. With these variables onnxruntime's
 * provider `webgpu` runs on the processor.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, vi } from 'vitest';

const FOLDER = process.env.SWIFTSHADER_DIR ?? '/usr/lib/chromium';
const DRIVER = path.join(FOLDER, 'vk_swiftshader_icd.json');

export const hasSoftwareGpu = process.platform === 'linux' && existsSync(DRIVER);

/** The Vulkan loader and its driver. */
export const softwareGpu: Readonly<Record<string, string>> = {
  LD_LIBRARY_PATH: FOLDER,
  VK_DRIVER_FILES: DRIVER,
  VK_ICD_FILENAMES: DRIVER,
};

/** Variables for which no Vulkan driver is found, also where a GPU is installed. */
export const noGpu: Readonly<Record<string, string>> = {
  LD_LIBRARY_PATH: '/nonexistent',
  VK_DRIVER_FILES: '/nonexistent',
  VK_ICD_FILENAMES: '/nonexistent',
};

/** Sets variables of the drivers in this process, whose engines inherit them, for the tests of a block. */
export function useDrivers(variables: Readonly<Record<string, string>>): void {
  beforeAll(() => {
    for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value);
  });
  afterAll(() => void vi.unstubAllEnvs());
}
