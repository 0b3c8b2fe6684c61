/** The parts of the API that the routes of /v2 use, and the parameters of a route of a model. */
import type { FastifyBaseLogger, FastifyRequest } from 'fastify';
import type { JsonBudget } from '../http/json-members.ts';
import type { Catalog } from '../models/catalog.ts';
import type { RunningProviders } from '../models/running-providers.ts';
import type { CreatePrediction } from '../predictions/create-prediction.ts';
import type { InferLimits } from './request.ts';

export interface V2Deps {
  /** The methods of a path, as sent. Empty for a path that has no route. */
  methodsOf(target: string): string[];
  log: FastifyBaseLogger;
  catalog: Catalog;
  createPrediction: CreatePrediction;
  /** The execution providers that run the versions now. */
  providers: RunningProviders;
  /** Whether every part that the API needs is available. */
  ready(): Promise<boolean>;
  tenantOf(request: FastifyRequest): string;
  /** Takes a model out of service, or returns the model to service. Resolves to false where nothing changed. */
  setServed(tenant: string, model: string, served: boolean): Promise<boolean>;
  /** Throws ApiError. All texts of one request share a budget. */
  parseJson(text: string, budget?: JsonBudget): unknown;
  /** Parses a body, whose large arrays of numbers become NumberArrays. Throws ApiError. */
  parseBody(bytes: Buffer): unknown;
  /** As `parseBody`, in several turns of the event loop. */
  parseLongBody(bytes: Buffer): Promise<unknown>;
  limits: InferLimits;
  /** The most bytes of JSON, because parsing JSON holds the event loop. Binary tensor data has no such limit. */
  jsonLimit: number;
}

export type ModelRoute = { Params: { model: string; version?: string } };
export type ModelRequest = FastifyRequest<ModelRoute>;

export const MODEL_PATHS = ['/models/:model', '/models/:model/versions/:version'];
