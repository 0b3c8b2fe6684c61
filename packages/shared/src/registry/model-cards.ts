/** The cards of model versions in Postgres. */
import type { Db } from '../postgres/db.ts';
import type { VersionName } from './registry.ts';

export interface ModelCard {
  /** README.md as Markdown; null without the file. */
  readme: string | null;
  /** The images that README.md names: path to data URI. */
  images: Readonly<Record<string, string>>;
  /** The value of metrics.json; null without the file. */
  figures: unknown;
}

export const NO_CARD: ModelCard = { readme: null, images: {}, figures: null };

/** Returns the digests of the stored cards of a tenant, by `model/version`. */
export async function cardDigests(db: Db, tenant: string): Promise<Map<string, string>> {
  const { rows } = await db.query<{ name: string; digest: string }>(
    `SELECT model || '/' || version AS name, digest FROM model_cards WHERE tenant = $1`,
    [tenant],
  );
  return new Map(rows.map(({ name, digest }) => [name, digest]));
}

/** Stores the card of a registered version. A version that is not registered gets no card. */
export async function storeCard(db: Db, name: VersionName, card: ModelCard & { digest: string }): Promise<void> {
  await db.query(
    `INSERT INTO model_cards (tenant, model, version, digest, readme, images, figures)
     SELECT tenant, model, version, $4, $5, $6::jsonb, $7::json FROM model_versions
      WHERE tenant = $1 AND model = $2 AND version = $3
     ON CONFLICT (tenant, model, version)
     DO UPDATE SET digest = excluded.digest, readme = excluded.readme, images = excluded.images, figures = excluded.figures`,
    [
      name.tenant,
      name.model,
      name.version,
      card.digest,
      card.readme,
      JSON.stringify(card.images),
      card.figures === null ? null : JSON.stringify(card.figures),
    ],
  );
}

/** Returns the card of a version. A version without files has a card without content. */
export async function findCard(db: Db, { tenant, model, version }: VersionName): Promise<ModelCard> {
  const { rows } = await db.query<ModelCard>(
    'SELECT readme, images, figures FROM model_cards WHERE tenant = $1 AND model = $2 AND version = $3',
    [tenant, model, version],
  );
  return rows[0] ?? NO_CARD;
}
