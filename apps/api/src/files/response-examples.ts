/** Examples of the responses of the file routes. */
const id = 'file_5f1d7c0a9b3e4d62a8c1f0e7b6d59234';
const self = `/v1/files/${id}`;

export const file = {
  id,
  filename: 'cat.jpg',
  media_type: 'image/jpeg',
  bytes: 48_213,
  sha256: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
  created_at: '2026-01-31T12:00:00.000Z',
  expires_at: '2026-03-02T12:00:00.000Z',
  urls: { self, content: `${self}/content` },
};

export const files = { data: [file], next: null, has_more: false };
