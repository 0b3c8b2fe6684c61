/** Settings of files and images. */
import { flag, integer, list, MIB, type Setting, secret, text, url } from './setting.ts';

export const FILE_SETTINGS = {
  filesUrl: text(
    'FILES_URL',
    undefined,
    'Where the bytes of `/v1/files` are: a folder that all API processes and workers share, or `s3://bucket/prefix`. Without `FILES_URL` there are no files.',
  ),
  filesS3Endpoint: url(
    'FILES_S3_ENDPOINT',
    undefined,
    'URL of an S3-compatible store. Default: Amazon S3 in `FILES_S3_REGION`.',
  ),
  filesS3Region: text('FILES_S3_REGION', 'us-east-1', 'Region of the S3 store.'),
  filesS3AccessKeyId: secret('FILES_S3_ACCESS_KEY_ID', 'Access key of the S3 store. Required with `s3://`.'),
  filesS3SecretAccessKey: secret('FILES_S3_SECRET_ACCESS_KEY', 'Secret key of the S3 store. Required with `s3://`.'),
  filesTtlS: integer('FILES_TTL', {
    default: 2_592_000,
    min: 60,
    max: 315_360_000,
    about: 'Longest life of a file, and the life of a file without `expires_in`, seconds.',
  }),
  fileLimit: integer('FILE_LIMIT', {
    default: 1_024 * MIB,
    min: 1_024,
    max: 65_536 * MIB,
    about: 'Maximum size of a file, bytes.',
  }),
  filesPerTenant: integer('FILES_PER_TENANT', {
    default: 20_480 * MIB,
    min: 1_024,
    max: 1_073_741_824 * MIB,
    about: 'Maximum size of all files of a tenant, bytes.',
  }),
  uploadTimeoutMs: integer('UPLOAD_TIMEOUT_MS', {
    default: 3_600_000,
    min: 1_000,
    max: 86_400_000,
    about: 'Time in which an upload must arrive. An upload that sends no byte for `REQUEST_TIMEOUT_MS` also ends.',
  }),
  imageLimit: integer('IMAGE_LIMIT', {
    default: 8 * MIB,
    min: 1_024,
    max: 11 * MIB,
    about: 'Maximum size of an image that an input names by URL or file, bytes.',
  }),
  imageTimeoutMs: integer('IMAGE_TIMEOUT_MS', {
    default: 10_000,
    min: 100,
    max: 60_000,
    about: 'Time limit for the fetch of an image, with its redirects.',
  }),
  imageHttp: flag('IMAGE_ALLOW_HTTP', false, 'Allow http:// URLs of images; for development.'),
  imageNetworks: list('IMAGE_ALLOWED_NETWORKS', '', 'Private networks (CIDR) from which images may be fetched.'),
} as const satisfies Record<string, Setting>;
