/** Tries a device: opens a tiny model on the device, runs the model and compares the output. */
import { CPU, type Device } from '@millrace/shared/model-files/engine-settings';
import { listSupportedBackends } from 'onnxruntime-node';
import type { DeviceTrial } from '../protocol/loaded-version.ts';
import { openSession, runSession } from './ort-tensor.ts';

/** An ONNX file: y = x * 2, for x and y of type float32[4]. */
const TWICE =
  'CAg6TAoQCgF4CgN0d28SAXkiA011bBIFcHJvYmUqDwgBEAFCA3R3b0oEAAAAQFoPCgF4EgoKCAgBEgQKAggEYg8KAXkSCgoICAESBAoCCARCAhAR';

export async function tryDevice(device: Device): Promise<DeviceTrial> {
  const fault = await faultOf(device).catch((error: Error) => firstLine(error.message));
  return { peakBytes: process.resourceUsage().maxRSS * 1024, ...(fault === undefined ? {} : { fault }) };
}

async function faultOf(device: Device): Promise<string | undefined> {
  const names = listSupportedBackends().map(({ name }) => name);
  if (device.provider !== CPU && !names.includes(device.provider))
    return `onnxruntime-node for ${process.platform} ${process.arch} has the providers ${names.join(', ')}`;
  const session = await openSession(Buffer.from(TWICE, 'base64'), { threads: 1, device });
  const data = Float32Array.of(1, -2, 3.5, 0);
  const { y } = await runSession(session, { x: { dtype: 'float32', dims: [4], data } });
  await session.release();
  const isRight = data.every((value, at) => y?.data[at] === 2 * value);
  return isRight ? undefined : `the device computes wrong results: ${y?.data.join(', ')} for 2, -4, 7, 0`;
}

/** The message without onnxruntime's source files. */
const firstLine = (message: string): string =>
  (message.split('\n', 1)[0] ?? '').replace(/^\/\S+\.(?:cc|h):\d+ .*?(?:was false\. |\) (?=[A-Z]))/, '').trim();
