/** The data of a model's page. */
import { get } from '../../core/api.ts';
import type { List, Model, Version } from '../../core/types.ts';

export interface ModelData {
  model: Model;
  /** Newest first. */
  versions: Version[];
  /** The types of entities that the serving version reads. */
  entities: string[];
}

export async function loadModel(name: string, signal: AbortSignal): Promise<ModelData> {
  const path = `/v1/models/${encodeURIComponent(name)}`;
  const [model, versions, entities] = await Promise.all([
    get<Model>(path, {}, signal),
    get<List<Version>>(`${path}/versions`, { limit: 100 }, signal),
    // A model without a ready version has no entities.
    get<List<{ name: string }>>(`${path}/entities`, { limit: 100 }, signal).catch(() => ({ data: [] })),
  ]);
  return { model, versions: versions.data, entities: entities.data.map((type) => type.name) };
}
