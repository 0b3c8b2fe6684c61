/** Moves the alias production, unless somebody else has moved the alias since the reader saw it. */
import { ApiProblem, call, type Reply } from '../../core/api.ts';

interface Alias {
  version: string;
}

/** `seen` is the version that the reader saw behind the alias; null for no alias. Throws an ApiProblem with a sentence for the reader. */
export async function moveProduction(model: string, version: string, seen: string | null): Promise<void> {
  const path = `/v1/models/${encodeURIComponent(model)}/aliases/production`;
  const found = await unless<Reply<Alias>>(call(path), 'alias_not_found');
  const present = found?.body.version ?? null;
  if (present !== seen) throw moved(present);
  const etag = found?.headers.get('etag');
  const condition: Record<string, string> = etag ? { 'if-match': etag } : { 'if-none-match': '*' };
  const put = call(path, { method: 'PUT', body: { version }, headers: condition });
  if ((await unless(put, 'precondition_failed')) === undefined) throw moved(null);
}

/** Resolves with undefined for a problem with this code. */
async function unless<T>(reply: Promise<T>, code: string): Promise<T | undefined> {
  return reply.catch((error: unknown) => {
    if (error instanceof ApiProblem && error.code === code) return undefined;
    throw error;
  });
}

const moved = (version: string | null): ApiProblem =>
  new ApiProblem({
    title: 'The alias has moved',
    code: 'precondition_failed',
    status: 412,
    detail:
      `Somebody else has moved the alias production${version === null ? '' : ` to version ${version}`} since this page showed the versions. ` +
      'Nothing has changed. Close the dialog, and look at the versions again.',
  });
