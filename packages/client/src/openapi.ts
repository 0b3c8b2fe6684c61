/**
 * The types of the OpenAPI document. A program wrote this file: `npm test -- tests/client/openapi-types.test.ts -u` writes the file
 * again after a change of the API.
 */

export interface paths {
    "/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The page of /docs, for a person who opens the address of the API */
        get: operations["getRoot"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/docs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** This document as a page */
        get: operations["getDocs"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/embed": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Embed texts, as text-embeddings-inference */
        post: operations["embedTexts"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/healthz": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Liveness */
        get: operations["getHealth"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/metrics": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Metrics for Prometheus */
        get: operations["getMetrics"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/openai/v1/embeddings": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Embed texts, as OpenAI */
        post: operations["createOpenAIEmbeddings"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/openai/v1/models": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the models with embeddings, as OpenAI */
        get: operations["listOpenAIModels"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/openai/v1/models/{model}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Get a model with embeddings, as OpenAI */
        get: operations["getOpenAIModel"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/openapi.json": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** This document */
        get: operations["getOpenApi"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/readyz": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Readiness */
        get: operations["getReadiness"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/rerank": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Rank texts by a query, as text-embeddings-inference */
        post: operations["rerankTexts"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/tei/{model}/embed": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Embed texts, as text-embeddings-inference */
        post: operations["embedTextsOfModel"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/tei/{model}/rerank": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Rank texts by a query, as text-embeddings-inference */
        post: operations["rerankTextsOfModel"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The version, the limits and the features of this server */
        get: operations["getService"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The feed of events, oldest first, without gaps */
        get: operations["listEvents"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/events/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** An event, as its webhooks contain it */
        get: operations["getEvent"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/files": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List files, newest first */
        get: operations["listFiles"];
        put?: never;
        /**
         * Store a file
         * @description The body is the content, of any media type, or a form with the part `file`. The content is streamed. Equal content of a tenant is one file with one id: a further upload replaces the name and the media type, and never shortens the life of the file.
         */
        post: operations["createFile"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/files/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** A file without its content */
        get: operations["getFile"];
        put?: never;
        post?: never;
        /**
         * Delete a file
         * @description Predictions that were created with the file keep its content.
         */
        delete: operations["deleteFile"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/files/{id}/content": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The content of a file
         * @description The response has the media type of the upload. A browser saves the content, and never shows it as a page of this server. `Range` requests one range of bytes; a request of several ranges gets the whole content.
         */
        get: operations["getFileContent"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/models": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List models */
        get: operations["listModels"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/models/{model}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** A model */
        get: operations["getModel"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/models/{model}/aliases/{alias}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** An alias */
        get: operations["getAlias"];
        /** Point an alias at a version */
        put: operations["setAlias"];
        post?: never;
        /** Remove an alias */
        delete: operations["removeAlias"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/models/{model}/cache": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** Purge a model's cached results */
        delete: operations["purgeCache"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/models/{model}/entities": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the types of entities */
        get: operations["listModelEntityTypes"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/models/{model}/entities/{entity}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List entities, or find entities by a part of a name */
        get: operations["searchModelEntities"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/models/{model}/entities/{entity}/{key}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** An entity by key, name or alias */
        get: operations["getModelEntity"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/models/{model}/predictions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Create a prediction
         * @description The body has either `input` or `inputs`, or is a form with the parts of one input. A cached result is 200 at once. Otherwise the response is 202 at once, or with `Prefer: wait=N` 200 when the prediction ends within N seconds. A prediction with a 202 always reaches a final status.
         */
        post: operations["createPrediction"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/models/{model}/versions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the versions of a model, newest first */
        get: operations["listVersions"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/models/{model}/versions/{version}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** A version, by name or alias */
        get: operations["getVersion"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/models/{model}/versions/{version}/card": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The card of a version: README.md and metrics.json of its folder or of the model */
        get: operations["getCard"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/models/{model}/versions/{version}/entities": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the types of entities */
        get: operations["listVersionEntityTypes"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/models/{model}/versions/{version}/entities/{entity}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List entities, or find entities by a part of a name */
        get: operations["searchVersionEntities"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/models/{model}/versions/{version}/entities/{entity}/{key}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** An entity by key, name or alias */
        get: operations["getVersionEntity"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/models/{model}/versions/{version}/predictions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Create a prediction of a version or alias
         * @description The body has either `input` or `inputs`, or is a form with the parts of one input. A cached result is 200 at once. Otherwise the response is 202 at once, or with `Prefer: wait=N` 200 when the prediction ends within N seconds. A prediction with a 202 always reaches a final status.
         */
        post: operations["createPinnedPrediction"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/models/{model}/versions/{version}/retire": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Take a version out of service for good
         * @description Requests that name the version are refused from then on. A retired version stays retired: add a new version to serve its files again.
         */
        post: operations["retireVersion"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/predictions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List predictions, newest first
         * @description The predictions have no outputs unless the request has `include=output`. `metadata.KEY=VALUE`, for example `metadata.order=A-17`, filters by metadata. New predictions do not move later pages. A short page can have a next page.
         */
        get: operations["listPredictions"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/predictions/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Get a prediction, or wait for its end */
        get: operations["getPrediction"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/predictions/{id}/cancel": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Cancel a prediction
         * @description Other callers with the same input still receive the result. A second cancel has no effect.
         */
        post: operations["cancelPrediction"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/predictions/{id}/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Watch a prediction by server-sent events
         * @description Events `queued` (again when the position changes), `running`, then one of `succeeded`, `failed`, `canceled` and `expired`, after which the stream ends. The data of each event is the prediction. 204 after the last event.
         */
        get: operations["watchPrediction"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/predictions/{id}/retry": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Run a failed, expired or canceled prediction again
         * @description The prediction keeps its id, and has the same time until it expires as at first.
         */
        post: operations["retryPrediction"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/predictions/cancel": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Cancel the prediction of an Idempotency-Key, or the predictions of a filter
         * @description With `idempotency_key`: for a client that lost the response with the id. A key names the prediction that its request created; 404 for other keys. With `filter`: cancels queued and running predictions, newest first, in steps. A step ends after `limit` predictions or five seconds. Send the same filter with `cursor` until `next` is null.
         */
        post: operations["cancelPredictionByKey"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/predictions/retry": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Run the predictions of a filter again
         * @description Without a status in the filter: failed and expired predictions. Newest first, in steps: a step ends after `limit` predictions or five seconds, and where the queue is full. Send the same filter with `cursor` until `next` is null.
         */
        post: operations["retryPredictions"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/stats": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The history of predictions in steps, oldest first
         * @description The tenant `default` sees all tenants. Every other tenant sees its own predictions, without `waiting` and `oldest_waiting_s`.
         */
        get: operations["listStats"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/stats/models": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The history of each model, most requests first
         * @description The models with predictions in the range. `values` has the counts of the whole range; the quantiles are of the last minute, ten minutes or hour in which a prediction of the model has ended. The tenant `default` sees all tenants.
         */
        get: operations["listModelStats"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/webhook-deliveries": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List deliveries with their attempts, newest first */
        get: operations["listDeliveries"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/webhook-deliveries/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** A delivery with its attempts */
        get: operations["getDelivery"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/webhook-deliveries/{id}/redeliver": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Deliver again */
        post: operations["redeliverDelivery"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/webhook-deliveries/redeliver": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Deliver again the failed deliveries of a filter
         * @description Oldest first, in steps. Send the same filter with `cursor` until `next` is null.
         */
        post: operations["redeliverDeliveries"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/webhook-endpoints": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List endpoints, newest first */
        get: operations["listEndpoints"];
        put?: never;
        /** Register an endpoint that receives events */
        post: operations["createEndpoint"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/webhook-endpoints/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** An endpoint */
        get: operations["getEndpoint"];
        put?: never;
        post?: never;
        /** Remove an endpoint */
        delete: operations["removeEndpoint"];
        options?: never;
        head?: never;
        /** Change an endpoint, or enable it again */
        patch: operations["changeEndpoint"];
        trace?: never;
    };
    "/v1/webhook-endpoints/{id}/secret/rotate": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Rotate the secret of an endpoint; for a while both secrets sign */
        post: operations["rotateEndpointSecret"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/webhook-endpoints/{id}/test": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Send a test event */
        post: operations["testEndpoint"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/webhook-secret": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Whether the tenant has a secret for the webhook URLs of predictions */
        get: operations["getSecret"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/webhook-secret/rotate": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Rotate the secret for the webhook URLs of predictions */
        post: operations["rotateSecret"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/workers": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List the workers, by id
         * @description Only for the tenant `default`. A worker that died is listed for an hour.
         */
        get: operations["listWorkers"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/workers/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * A worker
         * @description Only for the tenant `default`.
         */
        get: operations["getWorker"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v2": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The server and the extensions that it has */
        get: operations["getServerMetadata"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v2/health/live": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Liveness */
        get: operations["getServerLive"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v2/health/ready": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Readiness */
        get: operations["getServerReady"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v2/models/{model}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The inputs and outputs of a model */
        get: operations["getModelMetadata"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v2/models/{model}/infer": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Run an inference, and wait for its end */
        post: operations["inferModel"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v2/models/{model}/ready": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Whether a model is ready */
        get: operations["getModelReady"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v2/models/{model}/stats": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The caller's inferences of a model over this protocol, in one API process */
        get: operations["getModelStatistics"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v2/models/{model}/versions/{version}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The inputs and outputs of a model */
        get: operations["getVersionModelMetadata"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v2/models/{model}/versions/{version}/infer": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Run an inference, and wait for its end */
        post: operations["inferVersionModel"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v2/models/{model}/versions/{version}/ready": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Whether a model is ready */
        get: operations["getVersionModelReady"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v2/models/{model}/versions/{version}/stats": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The caller's inferences of a model over this protocol, in one API process */
        get: operations["getVersionModelStatistics"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v2/models/stats": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The caller's inferences of all models over this protocol, in one API process */
        get: operations["getAllModelStatistics"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v2/repository/index": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** List the versions of all models */
        post: operations["indexRepository"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v2/repository/models/{model}/load": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Return a model to service */
        post: operations["loadModel"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v2/repository/models/{model}/unload": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Take a model out of service */
        post: operations["unloadModel"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export interface webhooks {
    "prediction.canceled": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * The event `prediction.canceled`
         * @description Verify the signature over the received bytes. Any response with a status of 2xx accepts the event.
         */
        post: operations["onPredictionCanceled"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "prediction.expired": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * The event `prediction.expired`
         * @description Verify the signature over the received bytes. Any response with a status of 2xx accepts the event.
         */
        post: operations["onPredictionExpired"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "prediction.failed": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * The event `prediction.failed`
         * @description Verify the signature over the received bytes. Any response with a status of 2xx accepts the event.
         */
        post: operations["onPredictionFailed"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "prediction.succeeded": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * The event `prediction.succeeded`
         * @description Verify the signature over the received bytes. Any response with a status of 2xx accepts the event.
         */
        post: operations["onPredictionSucceeded"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "webhook_endpoint.test": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * The event `webhook_endpoint.test`
         * @description Verify the signature over the received bytes. Any response with a status of 2xx accepts the event.
         */
        post: operations["onWebhookEndpointTest"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export interface components {
    schemas: {
        Alias: {
            model: string;
            name: string;
            urls: {
                /** @description A path on this server; a URL if `PUBLIC_URL` is set. */
                model: string;
                /** @description A path on this server; a URL if `PUBLIC_URL` is set. */
                self: string;
                /** @description A path on this server; a URL if `PUBLIC_URL` is set. */
                version: string;
            };
            /** @description The target of the alias. */
            version: string;
        };
        Attempt: {
            error: {
                /** @description Extensible. */
                code: string;
            } | null;
            /** @description Null for an attempt without a response. */
            http_status: number | null;
            latency_ms: number | null;
            number: number;
            reply: string | null;
            /** Format: date-time */
            started_at: string;
        };
        BulkAction: {
            /** @description Predictions that the step changed. The others changed in the meantime, or cannot be changed. */
            done: number;
            /** @description Predictions that the step reached. */
            matched: number;
            /** @description `cursor` of the next step; null after the last step. */
            next: string | null;
        };
        CacheUse: "hit" | "miss" | "partial" | "collapsed" | "bypass" | (string & {});
        CancelPrediction: {
            /** @description The `next` of the previous step, with the same filter. */
            cursor?: string;
            /** @description The filters of the list of predictions. At least one filter. */
            filter?: {
                /** @description A time such as 2026-01-31T12:00:00Z. */
                created_after?: string;
                /** @description A time such as 2026-01-31T12:00:00Z. */
                created_before?: string;
                /** @description Only predictions that did not succeed, with this `error.code`. */
                error?: string;
                /** @description Only the predictions with these ids: at most 100 ids, separated by commas. */
                id?: string;
                /** @description Only predictions whose ids begin with this text. */
                id_prefix?: string;
                /** @description Only predictions of this model. */
                model?: string;
                /** @description Only predictions with this status, or with one of several statuses, such as `failed,canceled`. */
                status?: string;
                /** @description Only predictions of this version. */
                version?: string;
            } & {
                [key: string]: string;
            };
            /** @description The `Idempotency-Key` of the request that created the prediction. Not with `filter`. */
            idempotency_key?: string;
            /** @description The most predictions of this step; 100 if absent. A number above 1000 counts as 1000. */
            limit?: number;
        };
        Card: {
            /** @description The value of metrics.json, at most 64 KiB; null without the file. */
            figures: unknown;
            /** @description The images that README.md names by a relative path: path to data URI. */
            images: Record<string, string>;
            model: string;
            /** @description README.md as Markdown, at most 256 KiB. */
            readme: string | null;
            version: string;
        };
        ChangeEndpoint: {
            description?: string | null;
            events?: ("*" | "prediction.*" | "prediction.succeeded" | "prediction.failed" | "prediction.canceled" | "prediction.expired")[] | null;
            models?: string[] | null;
            /** @enum {string} */
            status?: "enabled" | "disabled";
            /** @description The https URL that receives the events. */
            url?: string;
        };
        CreateEndpoint: {
            description?: string | null;
            events?: ("*" | "prediction.*" | "prediction.succeeded" | "prediction.failed" | "prediction.canceled" | "prediction.expired")[] | null;
            models?: string[] | null;
            /** @description The https URL that receives the events. */
            url: string;
        };
        CreatePrediction: {
            /** @description Seconds until the deadline: the prediction expires if it has not ended by then. */
            expires_in?: number;
            /** @description One input, in the form that the model expects. */
            input?: unknown;
            /** @description Several inputs, for one prediction with a list of outputs. */
            inputs?: unknown[];
            /** @description A flat map of the caller, which the prediction has too: at most 50 strings, with keys of at most 40 characters and values of at most 500 characters. */
            metadata?: Record<string, unknown>;
            /**
             * @description Only with `inputs`. `row`: an invalid or failing row has null in `outputs` and its error in `row_errors`, and the other rows succeed. `fail`, the default: the first such row ends the request or the prediction.
             * @enum {string}
             */
            on_error?: "fail" | "row";
            /** @enum {string} */
            priority?: "low" | "normal" | "high";
            webhook?: components["schemas"]["PredictionWebhook"];
        };
        CreatePredictionForm: {
            /** @description JSON text of an object with the other members of a prediction, such as `metadata`. */
            request?: string;
        } & {
            [key: string]: string;
        };
        Delivery: {
            attempts: components["schemas"]["Attempt"][];
            completed_at: string | null;
            /** Format: date-time */
            created_at: string;
            /** @description Null where a prediction named the URL. */
            endpoint_id: string | null;
            event: {
                /**
                 * Format: uuid
                 * @description The `webhook-id`.
                 */
                id: string;
                /** @description Extensible. */
                type: string;
            };
            id: string;
            next_attempt_at: string | null;
            prediction_id: string | null;
            status: components["schemas"]["DeliveryStatus"];
            url: string;
            urls: {
                /** @description A path on this server; a URL if `PUBLIC_URL` is set. */
                redeliver: string;
                /** @description A path on this server; a URL if `PUBLIC_URL` is set. */
                self: string;
            };
        };
        DeliveryList: {
            data: components["schemas"]["Delivery"][];
            has_more: boolean;
            /** @description `cursor` of the next page; null on the last page. */
            next: string | null;
        };
        DeliveryStatus: "pending" | "delivered" | "failed" | "canceled" | (string & {});
        Endpoint: {
            /** Format: date-time */
            created_at: string;
            description: string;
            /** @description The reason as a sentence. */
            detail: string | null;
            /** @description `*` selects all types, and `prediction.*` all types of predictions. */
            events: string[];
            /** @description The first failure since the last success. */
            failing_since_at: string | null;
            id: string;
            /** @description Empty for all models. */
            models: string[];
            /** @description The reason of a disabled endpoint: `disabled_by_owner`, `gone`, `failing` or `unknown`. Extensible. */
            reason: string | null;
            status: components["schemas"]["EndpointStatus"];
            /** @description The names of `models` that no model has now. */
            unknown_models: string[];
            /** Format: date-time */
            updated_at: string;
            url: string;
            urls: {
                /** @description A path on this server; a URL if `PUBLIC_URL` is set. */
                deliveries: string;
                /** @description A path on this server; a URL if `PUBLIC_URL` is set. */
                rotate_secret: string;
                /** @description A path on this server; a URL if `PUBLIC_URL` is set. */
                self: string;
                /** @description Null while the endpoint is disabled. */
                test: string | null;
            };
        };
        /** @description An event of a webhook endpoint. */
        EndpointEvent: {
            /** @description The version of the contract by which the event is written. */
            api_version: string;
            data: components["schemas"]["EndpointEventData"];
            /**
             * Format: uuid
             * @description The `webhook-id`.
             */
            id: string;
            tenant: string;
            /** Format: date-time */
            timestamp: string;
            /** @description Extensible. */
            type: string;
        };
        EndpointEventData: {
            /** @description The reason as a sentence. */
            detail?: string;
            endpoint_url: string;
            id: string;
            /** @description The reason of a disabled endpoint. Extensible. */
            reason?: string;
            /** @description The address of the resource in the API; a path if `PUBLIC_URL` is not set. */
            url: string;
        };
        EndpointList: {
            data: components["schemas"]["Endpoint"][];
            has_more: boolean;
            /** @description `cursor` of the next page; null on the last page. */
            next: string | null;
        };
        EndpointStatus: "enabled" | "disabled" | (string & {});
        Entity: {
            aliases: string[];
            attributes: Record<string, unknown>;
            key: string;
            name: string;
        };
        EntityList: {
            data: components["schemas"]["Entity"][];
            has_more: boolean;
            /** @description `cursor` of the next page; null on the last page. */
            next: string | null;
        };
        EntityType: {
            /** @description The number of entities. */
            count: number;
            name: string;
        };
        EntityTypeList: {
            data: components["schemas"]["EntityType"][];
            has_more: boolean;
            /** @description `cursor` of the next page; null on the last page. */
            next: string | null;
        };
        /** @description The body of the webhook, with its cursor in the feed. */
        Event: {
            /** @description The version of the contract by which the event is written. */
            api_version: string;
            /** @description The feed continues after this event. */
            cursor: string;
            data: components["schemas"]["EventData"];
            /**
             * Format: uuid
             * @description The `webhook-id`.
             */
            id: string;
            tenant: string;
            /** Format: date-time */
            timestamp: string;
            /** @description Extensible. */
            type: string;
        };
        /** @description The members depend on `type`: see `webhooks` of this document. */
        EventData: {
            /** Format: date-time */
            completed_at?: string;
            created_at?: string | null;
            /** @description The reason as a sentence. */
            detail?: string;
            endpoint_url?: string;
            error?: components["schemas"]["EventError"] | null;
            /** @description The id of the prediction or of the endpoint. */
            id: string | null;
            metadata?: Record<string, unknown> | null;
            model?: string | null;
            /** @description 0 for the request, and one more for each retry. */
            opening?: number;
            /** @description The reason of a disabled endpoint. Extensible. */
            reason?: string;
            /** @description The status with which the prediction ended. Extensible. */
            status?: string;
            /** @description The address of the resource in the API; a path if `PUBLIC_URL` is not set. */
            url: string;
            version?: string | null;
        };
        /** @description The problem of the prediction. A large problem has only `type` and `code`. */
        EventError: {
            /** @description Stable; docs/errors.md lists all codes. Extensible: treat an unknown code by its HTTP status. */
            code: "invalid_json" | "invalid_request" | "json_too_deep" | "invalid_header" | "invalid_cursor" | "unauthorized" | "cross_site_request" | "not_found" | "model_not_found" | "version_not_found" | "prediction_not_found" | "file_not_found" | "files_not_configured" | "alias_not_found" | "entity_type_not_found" | "entity_not_found" | "endpoint_not_found" | "delivery_not_found" | "method_not_allowed" | "request_timeout" | "cursor_expired" | "precondition_failed" | "prediction_terminal" | "prediction_not_terminal" | "alias_conflict" | "endpoint_disabled" | "version_failed" | "idempotency_in_progress" | "digest_mismatch" | "files_full" | "payload_too_large" | "unsupported_media_type" | "range_not_satisfiable" | "expectation_failed" | "invalid_input" | "image_refused" | "image_unavailable" | "invalid_metadata" | "idempotency_mismatch" | "webhook_refused" | "headers_too_large" | "queue_full" | "body_memory_full" | "too_many_uploads" | "deadline_unreachable" | "internal" | "handler_failed" | "handler_timeout" | "model_unavailable" | "store_unavailable" | "clock_wrong" | "shutting_down" | "not_cached" | "inference_failed" | "inference_timeout" | "worker_lost" | "expired" | "canceled" | (string & {});
            detail?: string;
            errors?: components["schemas"]["Fault"][];
            status?: number;
            suggestions?: string[];
            title?: string;
            type: string;
        };
        EventList: {
            data: components["schemas"]["Event"][];
            has_more: boolean;
            /** @description Never null: the next read of the feed continues here. */
            next: string;
        };
        /** @description One fault: its place, the expected form and the received value. */
        Fault: {
            expected?: string;
            got?: string;
            /** @description The part of the request that has the fault. */
            in: "body" | "query" | "path" | "header" | (string & {});
            message: string;
            /** @description In other parts: the name of the parameter or header. */
            name?: string;
            /** @description In the body: JSON pointer of the value. */
            pointer?: string;
            /** @description Similar names. */
            suggestions?: string[];
        };
        File: {
            bytes: number;
            /** Format: date-time */
            created_at: string;
            /** Format: date-time */
            expires_at: string;
            /** @description The name that the last upload gave. */
            filename: string | null;
            /** @description Equal content of a tenant has one id. */
            id: string;
            /** @description The media type that the last upload gave. */
            media_type: string;
            /** @description SHA-256 of the content. */
            sha256: string;
            urls: {
                /** @description A path on this server; a URL if `PUBLIC_URL` is set. */
                content: string;
                /** @description A path on this server; a URL if `PUBLIC_URL` is set. */
                self: string;
            };
        };
        FileList: {
            data: components["schemas"]["File"][];
            has_more: boolean;
            /** @description `cursor` of the next page; null on the last page. */
            next: string | null;
        };
        Health: {
            status: "ok" | (string & {});
        };
        InferenceDuration: {
            count: number;
            ns: number;
        };
        InferenceError: {
            error: string;
        };
        InferenceOutput: {
            /** @description The elements in row-major order. */
            data?: unknown[];
            datatype: string;
            name: string;
            /** @description Of binary data. */
            parameters?: {
                binary_data_size?: number;
            };
            shape: number[];
        };
        InferenceRequest: {
            id?: string;
            inputs: {
                data?: unknown;
                datatype: string;
                name: string;
                parameters?: Record<string, never>;
                shape: number[];
            }[];
            outputs?: {
                name: string;
                parameters?: Record<string, never>;
            }[];
            parameters?: Record<string, never>;
        };
        InferenceResponse: {
            /** @description The `id` of the request. */
            id?: string;
            model_name: string;
            model_version: string;
            outputs: components["schemas"]["InferenceOutput"][];
        };
        InferenceStatistics: {
            model_stats: components["schemas"]["ModelStatistics"][];
        };
        Limits: {
            /** @description The largest body. */
            body_bytes: number;
            /** @description The largest body of JSON. */
            json_bytes: number;
            /** @description The most items of a page. */
            list: number;
            /** @description The largest `metadata`, as JSON. */
            metadata_bytes: number;
            /** @description The most `inputs` of a prediction. */
            rows: number;
            /** @description The longest wait. */
            wait_s: number;
        };
        /** @description A prediction of a list: with `output` and `outputs` only where the request has `include=output`. */
        ListedPrediction: {
            /** @description The number of executions by workers so far; 0 before the first. */
            attempt: number;
            /** @description How the prediction used the cache; `Cache-Status` states the same for the response. */
            cache: components["schemas"]["CacheUse"] | null;
            completed_at: string | null;
            /** Format: date-time */
            created_at: string;
            /** @description The digest of the version that serves the prediction. */
            digest: string;
            /** @description The reason if the prediction did not succeed. */
            error: components["schemas"]["PredictionError"] | null;
            /** @description The time after which the result is not needed. */
            expires_at: string | null;
            /** @description Opaque. Ids sort by the time of creation. */
            id: string;
            /** @description With `include=input`: the canonical form of `input`; null after a success. */
            input?: unknown;
            /** @description With `include=input`: the canonical form of `inputs`; null after a success. */
            inputs?: unknown[] | null;
            metadata: Record<string, unknown> | null;
            metrics: {
                /** @description The run of the model. */
                run_ms: number | null;
                /** @description The rows of the run, also of other predictions. */
                run_rows: number | null;
                /** @description From the request to the end. */
                total_ms: number | null;
                /** @description From the request to the start of the run. */
                wait_ms: number | null;
            };
            model: string;
            /** @description The output of `input`, in the form of the model; null before the success, and for `inputs`. */
            output?: unknown;
            /** @description The outputs of `inputs` in the same order; null before the success, and for `input`. */
            outputs?: unknown[] | null;
            priority: components["schemas"]["Priority"];
            /** @description Present while the prediction waits. */
            queue: components["schemas"]["Queue"] | null;
            /** @description With `"on_error": "row"` and success: the errors of the rows that are null in `outputs`. Otherwise null. */
            row_errors?: {
                error: components["schemas"]["PredictionError"];
                row: number;
            }[] | null;
            /** @description The number of rows; null for some predictions of 0.1.0. */
            rows: number | null;
            started_at: string | null;
            status: components["schemas"]["PredictionStatus"];
            urls: {
                /** @description Null for a prediction that has ended. */
                cancel: string | null;
                /** @description A path on this server; a URL if `PUBLIC_URL` is set. */
                events: string;
                /** @description Null unless the prediction failed, expired or was canceled. */
                retry: string | null;
                /** @description A path on this server; a URL if `PUBLIC_URL` is set. */
                self: string;
            };
            version: string;
            /** @description The webhook of the request. */
            webhook: {
                events: string[] | null;
                url: string;
            } | null;
        };
        Model: {
            /** @description Alias to version. */
            aliases: Record<string, string>;
            /** @description The version for requests without a version; null while no version is ready. */
            default_version: string | null;
            description: string;
            name: string;
            /** @description The reason why the serving version may fail; null without a known fault. */
            problem: string | null;
            /** @description The execution providers of onnxruntime that run the serving version now, such as `cpu`. */
            providers: string[];
            /** @description The task that converts inputs and outputs; null for a version with a handler of its own, and for raw tensors. */
            task: ("feature-extraction" | "text-classification" | "token-classification" | "text-ranking" | "zero-shot-classification" | "fill-mask" | "image-classification" | "image-feature-extraction" | (string & {})) | null;
            urls: {
                /** @description A path on this server; a URL if `PUBLIC_URL` is set. */
                entities: string;
                /** @description A path on this server; a URL if `PUBLIC_URL` is set. */
                predictions: string;
                /** @description A path on this server; a URL if `PUBLIC_URL` is set. */
                self: string;
                /** @description A path on this server; a URL if `PUBLIC_URL` is set. */
                versions: string;
            };
            /** @description The number of versions of each status that a version has. */
            version_counts: Record<string, unknown>;
        };
        ModelList: {
            data: components["schemas"]["Model"][];
            has_more: boolean;
            /** @description `cursor` of the next page; null on the last page. */
            next: string | null;
        };
        ModelMetadata: {
            inputs: components["schemas"]["TensorMetadata"][];
            name: string;
            outputs: components["schemas"]["TensorMetadata"][];
            parameters: {
                /** @description The execution providers of onnxruntime that run the version now, such as `cpu`. */
                execution_providers: string[];
            };
            platform: string;
            versions: string[];
        };
        ModelReady: {
            name: string;
            ready: boolean;
        };
        ModelStatistics: {
            batch_stats: unknown[];
            execution_count: number;
            inference_count: number;
            inference_stats: {
                cache_hit: components["schemas"]["InferenceDuration"];
                cache_miss: components["schemas"]["InferenceDuration"];
                compute_infer: components["schemas"]["InferenceDuration"];
                compute_input: components["schemas"]["InferenceDuration"];
                compute_output: components["schemas"]["InferenceDuration"];
                fail: components["schemas"]["InferenceDuration"];
                queue: components["schemas"]["InferenceDuration"];
                success: components["schemas"]["InferenceDuration"];
            };
            /** @description Unix milliseconds; 0 before the first inference. */
            last_inference: number;
            name: string;
            version: string;
        };
        ModelStats: {
            model: string;
            /** @description Ended predictions and hits in each step, oldest first. The first step begins at `start_at`. */
            requests: number[];
            /** Format: date-time */
            start_at: string;
            /** @description Seconds of a step of `requests`. */
            step_s: number;
            values: components["schemas"]["StatsValues"];
        };
        ModelStatsList: {
            data: components["schemas"]["ModelStats"][];
            has_more: boolean;
            /** @description `cursor` of the next page; null on the last page. */
            next: string | null;
        };
        NewEndpoint: {
            /** Format: date-time */
            created_at: string;
            description: string;
            /** @description The reason as a sentence. */
            detail: string | null;
            /** @description `*` selects all types, and `prediction.*` all types of predictions. */
            events: string[];
            /** @description The first failure since the last success. */
            failing_since_at: string | null;
            id: string;
            /** @description Empty for all models. */
            models: string[];
            /** @description The reason of a disabled endpoint: `disabled_by_owner`, `gone`, `failing` or `unknown`. Extensible. */
            reason: string | null;
            /** @description `whsec_` and base64; shown only in this response. */
            secret: string;
            status: components["schemas"]["EndpointStatus"];
            /** @description The names of `models` that no model has now. */
            unknown_models: string[];
            /** Format: date-time */
            updated_at: string;
            url: string;
            urls: {
                /** @description A path on this server; a URL if `PUBLIC_URL` is set. */
                deliveries: string;
                /** @description A path on this server; a URL if `PUBLIC_URL` is set. */
                rotate_secret: string;
                /** @description A path on this server; a URL if `PUBLIC_URL` is set. */
                self: string;
                /** @description Null while the endpoint is disabled. */
                test: string | null;
            };
        };
        NoParameters: Record<string, never>;
        OpenAIEmbedding: {
            embedding: number[] | string;
            index: number;
            /** @description `embedding`. */
            object: string;
        };
        OpenAIEmbeddings: {
            data: components["schemas"]["OpenAIEmbedding"][];
            model: string;
            /** @description `list`. */
            object: string;
            usage: components["schemas"]["OpenAIUsage"];
        };
        OpenAIEmbeddingsRequest: {
            /** @description The first numbers of each embedding, with the length 1. OpenAI API: only for models with `matryoshka` in model.json. */
            dimensions?: number;
            /** @description `float` (the default), or `base64` for little-endian float32. */
            encoding_format?: string;
            /** @description A text or a list of texts; or token ids of the tokenizer of the model, where the model takes token ids. */
            input: string | string[] | number[] | number[][];
            /** @description A model, or `MODEL:VERSION` with a version or an alias. */
            model: string;
            /** @description Not used. */
            user?: string;
        };
        OpenAIError: {
            error: components["schemas"]["OpenAIErrorDetails"];
        };
        OpenAIErrorDetails: {
            code: string;
            message: string;
            param: string | null;
            type: string;
        };
        OpenAIModel: {
            /** @description Unix seconds of the registration. */
            created: number;
            id: string;
            /** @description `model`. */
            object: string;
            owned_by: string;
        };
        OpenAIModels: {
            data: components["schemas"]["OpenAIModel"][];
            object: string;
        };
        OpenAIUsage: {
            /** @description 0 if the model does not report tokens. */
            prompt_tokens: number;
            total_tokens: number;
        };
        /** @description One request for the output of a model. */
        Prediction: {
            /** @description The number of executions by workers so far; 0 before the first. */
            attempt: number;
            /** @description How the prediction used the cache; `Cache-Status` states the same for the response. */
            cache: components["schemas"]["CacheUse"] | null;
            completed_at: string | null;
            /** Format: date-time */
            created_at: string;
            /** @description The digest of the version that serves the prediction. */
            digest: string;
            /** @description The reason if the prediction did not succeed. */
            error: components["schemas"]["PredictionError"] | null;
            /** @description The time after which the result is not needed. */
            expires_at: string | null;
            /** @description Opaque. Ids sort by the time of creation. */
            id: string;
            /** @description With `include=input`: the canonical form of `input`; null after a success. */
            input?: unknown;
            /** @description With `include=input`: the canonical form of `inputs`; null after a success. */
            inputs?: unknown[] | null;
            metadata: Record<string, unknown> | null;
            metrics: {
                /** @description The run of the model. */
                run_ms: number | null;
                /** @description The rows of the run, also of other predictions. */
                run_rows: number | null;
                /** @description From the request to the end. */
                total_ms: number | null;
                /** @description From the request to the start of the run. */
                wait_ms: number | null;
            };
            model: string;
            /** @description The output of `input`, in the form of the model; null before the success, and for `inputs`. */
            output: unknown;
            /** @description The outputs of `inputs` in the same order; null before the success, and for `input`. */
            outputs: unknown[] | null;
            priority: components["schemas"]["Priority"];
            /** @description Present while the prediction waits. */
            queue: components["schemas"]["Queue"] | null;
            /** @description With `"on_error": "row"` and success: the errors of the rows that are null in `outputs`. Otherwise null. */
            row_errors?: {
                error: components["schemas"]["PredictionError"];
                row: number;
            }[] | null;
            /** @description The number of rows; null for some predictions of 0.1.0. */
            rows: number | null;
            started_at: string | null;
            status: components["schemas"]["PredictionStatus"];
            /** @description Only in the response of `GET /v1/predictions/{id}`: the events in their order. An event whose time is not known is left out. */
            timeline?: components["schemas"]["TimelineEvent"][];
            /** @description Only in the response of `GET /v1/predictions/{id}`: the id of the trace of the request; null without a trace. */
            trace_id?: string | null;
            urls: {
                /** @description Null for a prediction that has ended. */
                cancel: string | null;
                /** @description A path on this server; a URL if `PUBLIC_URL` is set. */
                events: string;
                /** @description Null unless the prediction failed, expired or was canceled. */
                retry: string | null;
                /** @description A path on this server; a URL if `PUBLIC_URL` is set. */
                self: string;
            };
            version: string;
            /** @description The webhook of the request. */
            webhook: {
                events: string[] | null;
                url: string;
            } | null;
        };
        /** @description The reason why a prediction failed, expired or was canceled. */
        PredictionError: {
            /** @description Stable; docs/errors.md lists all codes. Extensible: treat an unknown code by its HTTP status. */
            code: "invalid_json" | "invalid_request" | "json_too_deep" | "invalid_header" | "invalid_cursor" | "unauthorized" | "cross_site_request" | "not_found" | "model_not_found" | "version_not_found" | "prediction_not_found" | "file_not_found" | "files_not_configured" | "alias_not_found" | "entity_type_not_found" | "entity_not_found" | "endpoint_not_found" | "delivery_not_found" | "method_not_allowed" | "request_timeout" | "cursor_expired" | "precondition_failed" | "prediction_terminal" | "prediction_not_terminal" | "alias_conflict" | "endpoint_disabled" | "version_failed" | "idempotency_in_progress" | "digest_mismatch" | "files_full" | "payload_too_large" | "unsupported_media_type" | "range_not_satisfiable" | "expectation_failed" | "invalid_input" | "image_refused" | "image_unavailable" | "invalid_metadata" | "idempotency_mismatch" | "webhook_refused" | "headers_too_large" | "queue_full" | "body_memory_full" | "too_many_uploads" | "deadline_unreachable" | "internal" | "handler_failed" | "handler_timeout" | "model_unavailable" | "store_unavailable" | "clock_wrong" | "shutting_down" | "not_cached" | "inference_failed" | "inference_timeout" | "worker_lost" | "expired" | "canceled" | (string & {});
            detail: string;
            errors?: components["schemas"]["Fault"][];
            /** @description Only in predictions of 0.1.0. */
            retryable?: boolean;
            status: number;
            suggestions?: string[];
            title: string;
            /** @description `urn:millrace:error:` and the code. */
            type: string;
        };
        /** @description A prediction has ended. */
        PredictionEvent: {
            /** @description The version of the contract by which the event is written. */
            api_version: string;
            data: components["schemas"]["PredictionEventData"];
            /**
             * Format: uuid
             * @description The `webhook-id`.
             */
            id: string;
            tenant: string;
            /** Format: date-time */
            timestamp: string;
            /** @description Extensible. */
            type: string;
        };
        /** @description The prediction without its output, which `url` has. */
        PredictionEventData: {
            /** Format: date-time */
            completed_at: string;
            created_at: string | null;
            error: components["schemas"]["EventError"] | null;
            id: string | null;
            metadata: Record<string, unknown> | null;
            model: string | null;
            /** @description 0 for the request, and one more for each retry. */
            opening: number;
            /** @description The status with which the prediction ended. Extensible. */
            status: string;
            /** @description The address of the resource in the API; a path if `PUBLIC_URL` is not set. */
            url: string;
            version: string | null;
        };
        PredictionList: {
            data: components["schemas"]["ListedPrediction"][];
            has_more: boolean;
            /** @description `cursor` of the next page; null on the last page. */
            next: string | null;
        };
        /** @description Extensible: treat an unknown status as not terminal only while `completed_at` is null. */
        PredictionStatus: "queued" | "running" | "succeeded" | "failed" | "canceled" | "expired" | (string & {});
        PredictionWebhook: {
            /** @description The types of events to send; the terminal types if absent. */
            events?: ("prediction.succeeded" | "prediction.failed" | "prediction.canceled" | "prediction.expired")[];
            /** @description The https address that receives the events. */
            url: string;
        };
        Priority: "low" | "normal" | "high" | (string & {});
        /** @description RFC 9457 problem details. */
        Problem: {
            /** @description Stable; docs/errors.md lists all codes. Extensible: treat an unknown code by its HTTP status. */
            code: "invalid_json" | "invalid_request" | "json_too_deep" | "invalid_header" | "invalid_cursor" | "unauthorized" | "cross_site_request" | "not_found" | "model_not_found" | "version_not_found" | "prediction_not_found" | "file_not_found" | "files_not_configured" | "alias_not_found" | "entity_type_not_found" | "entity_not_found" | "endpoint_not_found" | "delivery_not_found" | "method_not_allowed" | "request_timeout" | "cursor_expired" | "precondition_failed" | "prediction_terminal" | "prediction_not_terminal" | "alias_conflict" | "endpoint_disabled" | "version_failed" | "idempotency_in_progress" | "digest_mismatch" | "files_full" | "payload_too_large" | "unsupported_media_type" | "range_not_satisfiable" | "expectation_failed" | "invalid_input" | "image_refused" | "image_unavailable" | "invalid_metadata" | "idempotency_mismatch" | "webhook_refused" | "headers_too_large" | "queue_full" | "body_memory_full" | "too_many_uploads" | "deadline_unreachable" | "internal" | "handler_failed" | "handler_timeout" | "model_unavailable" | "store_unavailable" | "clock_wrong" | "shutting_down" | "not_cached" | "inference_failed" | "inference_timeout" | "worker_lost" | "expired" | "canceled" | (string & {});
            detail: string;
            errors?: components["schemas"]["Fault"][];
            /** @description The prediction that the error concerns, or that may exist although the request failed. */
            prediction_id?: string;
            /** @description The id of the request in the log of the server. */
            request_id?: string;
            /** @description Whether the same request may succeed later. */
            retryable: boolean;
            status: number;
            suggestions?: string[];
            title: string;
            /** @description The id of the trace of the request, where the server has traces. */
            trace_id?: string;
            /** @description `urn:millrace:error:` and the code. */
            type: string;
        };
        /** @description Present while the prediction waits; estimated from the measured rate. */
        Queue: {
            /** Format: date-time */
            estimated_completion_at: string;
            /** Format: date-time */
            estimated_start_at: string;
            /** @description 1 is next. */
            position: number;
        };
        Readiness: {
            /** @description The faults of a process that is ready all the same, such as a model whose files changed. */
            degraded?: string[];
            /** @description `ok`, or the fault. */
            parts: Record<string, string>;
            status: "ready" | "degraded" | "not_ready" | (string & {});
        };
        RedeliverDeliveries: {
            /** @description The `next` of the previous step, with the same filter. */
            cursor?: string;
            /** @description At least one filter. */
            filter: {
                /** @description A time such as 2026-01-31T12:00:00Z. */
                created_after?: string;
                /** @description A time such as 2026-01-31T12:00:00Z. */
                created_before?: string;
                /** @description Id of an endpoint. Without an id: all endpoints. */
                endpoint_id?: string;
                /** @description Id of a prediction. */
                prediction_id?: string;
                /**
                 * @description Without a status: both.
                 * @enum {string}
                 */
                status?: "failed" | "canceled";
            };
            /** @description The most deliveries of this step. Without a limit: as many as five seconds allow. */
            limit?: number;
        };
        Redelivered: {
            /** @description The deliveries that are due now. */
            done: number;
            /** @description The deliveries that the step reached. */
            matched: number;
            /** @description `cursor` of the next step; null after the last step. */
            next: string | null;
        };
        RepositoryIndex: components["schemas"]["RepositoryModel"][];
        RepositoryIndexRequest: {
            /** @description Only models that are ready. */
            ready?: boolean;
        };
        RepositoryModel: {
            name: string;
            reason: string;
            /** @description `READY`, `LOADING`, `UNLOADING` or `UNAVAILABLE`. */
            state: string;
            version: string;
        };
        RepositoryRequest: {
            /** @description Files are refused. */
            parameters?: Record<string, never>;
        };
        RetryPredictions: {
            /** @description The `next` of the previous step, with the same filter. */
            cursor?: string;
            /** @description The filters of the list of predictions. At least one filter. */
            filter: {
                /** @description A time such as 2026-01-31T12:00:00Z. */
                created_after?: string;
                /** @description A time such as 2026-01-31T12:00:00Z. */
                created_before?: string;
                /** @description Only predictions that did not succeed, with this `error.code`. */
                error?: string;
                /** @description Only the predictions with these ids: at most 100 ids, separated by commas. */
                id?: string;
                /** @description Only predictions whose ids begin with this text. */
                id_prefix?: string;
                /** @description Only predictions of this model. */
                model?: string;
                /** @description Only predictions with this status, or with one of several statuses, such as `failed,canceled`. */
                status?: string;
                /** @description Only predictions of this version. */
                version?: string;
            } & {
                [key: string]: string;
            };
            /** @description The most predictions of this step; 100 if absent. A number above 1000 counts as 1000. */
            limit?: number;
        };
        /** @description The new secret, and the time until which the previous secret signs. */
        Rotated: {
            /**
             * Format: date-time
             * @description The previous secret signs until this time.
             */
            previous_signs_until_at: string;
            /** @description `whsec_` and base64; shown only in this response. */
            secret: string;
        };
        RotateSecret: {
            /**
             * @description Seconds for which the previous secret also signs.
             * @default 86400
             */
            overlap_s?: number;
        };
        SecretState: {
            /** @description Whether the tenant has a secret. */
            configured: boolean;
            /** @description Null without a previous secret that still signs. */
            previous_signs_until_at: string | null;
        };
        ServerLive: {
            live: boolean;
        };
        ServerMetadata: {
            extensions: string[];
            name: string;
            version: string;
        };
        ServerReady: {
            ready: boolean;
        };
        Service: {
            /** @description The version of the API: the value of `Millrace-Version`. */
            api_version: string;
            /** @description Extensible. Send a new request field only when the name of its feature is in the list. */
            features: string[];
            limits: components["schemas"]["Limits"];
            name: string;
            /** @description The version of the server. */
            version: string;
        };
        SetAlias: {
            /** @description The target version of the alias. */
            version: string;
        };
        StatsList: {
            data: components["schemas"]["StatsStep"][];
            has_more: boolean;
            /** @description `cursor` of the next page; null on the last page. */
            next: string | null;
        };
        StatsStep: {
            /** Format: date-time */
            start_at: string;
            values: components["schemas"]["StatsValues"];
        };
        StatsValues: {
            /** @description Predictions that the API created. */
            accepted: number;
            /** @description Predictions that were canceled in the step. */
            canceled: number;
            /** @description Failed and expired predictions among the ended predictions; null without ended predictions. */
            error_share: number | null;
            /** @description Predictions that expired in the step. */
            expired: number;
            /** @description Predictions that failed in the step. */
            failed: number;
            /** @description Hits among hits and misses; null without requests. */
            hit_share: number | null;
            /** @description Requests with a result from the cache. A hit creates no prediction, unless the request needs its own. */
            hits: number;
            /** @description Requests whose result was not in the cache. */
            misses: number;
            /** @description Age of the oldest waiting prediction at the end of the step; null if no prediction waited, or if unknown. */
            oldest_waiting_s: number | null;
            /** @description Ended predictions per second. */
            rate: number;
            /** @description Requests that the API refused with 429 or 503. */
            refused: number;
            /** @description Half of the runs were shorter. */
            run_p50_ms: number | null;
            /** @description 95 % of the runs were shorter. */
            run_p95_ms: number | null;
            /** @description Predictions that succeeded in the step. */
            succeeded: number;
            /** @description Half of the predictions ended faster. */
            total_p50_ms: number | null;
            /** @description 95 % of the predictions ended faster. */
            total_p95_ms: number | null;
            /** @description Half of the waits were shorter. */
            wait_p50_ms: number | null;
            /** @description 95 % of the waits were shorter. */
            wait_p95_ms: number | null;
            /** @description Waiting predictions at the end of the step, or now in a step that has not ended; null if unknown. */
            waiting: number | null;
        };
        TeiEmbeddings: number[][];
        TeiEmbedRequest: {
            /** @description The first numbers of each embedding, with the length 1. OpenAI API: only for models with `matryoshka` in model.json. */
            dimensions?: number;
            /** @description A text or a list of texts; or token ids of the tokenizer of the model, where the model takes token ids. */
            inputs: string | string[] | number[] | number[][];
            /** @description Whether each embedding has the length 1. Default true. */
            normalize?: boolean;
            /** @description Whether a text that is too long is cut. Default false: such a text is refused. */
            truncate?: boolean;
            /** @description Only `Right`. */
            truncation_direction?: string;
        };
        TeiError: {
            error: string;
            error_type: string;
        };
        TeiRank: {
            index: number;
            score: number;
            text?: string;
        };
        TeiRanks: components["schemas"]["TeiRank"][];
        TeiRerankRequest: {
            query: string;
            /** @description Whether the scores are the outputs before the activation function. Default false. */
            raw_scores?: boolean;
            /** @description Whether each rank has its text. Default false. */
            return_text?: boolean;
            texts: string[];
            /** @description Whether a text that is too long is cut. Default false: such a text is refused. */
            truncate?: boolean;
            /** @description Only `Right`. */
            truncation_direction?: string;
        };
        Tensor: {
            dtype: string;
            name: string;
            /** @description A name or an empty string is a free dimension. */
            shape: (number | string)[];
        };
        TensorMetadata: {
            /** @description Such as `FP32`, `INT64` or `BYTES`. */
            datatype: string;
            name: string;
            shape: number[];
        };
        TimelineEvent: {
            /** Format: date-time */
            at: string;
            /** @description The attempt, for `taken`, `batched` and `computed`. */
            attempt: number | null;
            /** @description The rows of the run, also of other predictions. */
            rows: number | null;
            /** @description Whether the attempt is of an equal prediction, whose result this prediction has. */
            shared: boolean | null;
            type: "accepted" | "queued" | "taken" | "batched" | "computed" | "recorded" | "delivered" | (string & {});
            /** @description The worker of the attempt. */
            worker_id: string | null;
        };
        UploadForm: {
            /** @description Seconds until the file is deleted. A longer life than `FILES_TTL`, which is also the default, is cut. */
            expires_in?: number;
            /**
             * Format: binary
             * @description The content. Its part may have a file name and a media type.
             */
            file: string;
        };
        Version: {
            cache: {
                enabled: boolean;
                scope: "tenant" | "public" | (string & {});
                ttl_s: number;
            };
            /** Format: date-time */
            created_at: string;
            description: string;
            /** @description Equal inputs give equal results: only then are results cached and shared. Null before a worker has verified the version. */
            deterministic: boolean | null;
            /** @description How the worker decided; null before a worker has verified the version. */
            deterministic_reason: string | null;
            /** @description SHA-256 of everything that determines a result. */
            digest: string;
            /** @description `engine` of model.json. */
            engine: {
                /** @description Null: all engines of a worker load the version. */
                instances: number | null;
                /** @description In the order of preference. */
                providers: string[];
                /** @description Null: the cores of the worker divided by its engines. */
                threads: number | null;
            };
            /** @description Valid inputs. */
            examples: unknown[];
            /** @description JSON Schema of `input`; null for raw tensors. */
            input_schema: unknown;
            /** @description Tensors of the ONNX file. */
            inputs: components["schemas"]["Tensor"][];
            /** @description `max_batch` of model.json. */
            max_run_rows: number;
            model: string;
            /** @description JSON Schema of `output`; null for raw tensors. */
            output_schema: unknown;
            outputs: components["schemas"]["Tensor"][];
            priority: "low" | "normal" | "high" | (string & {});
            /** @description The execution providers of onnxruntime that run the version now, such as `cpu`; empty while no worker runs the version. */
            providers: string[];
            /** @description The reason for the status, or for possible failures of a ready version. */
            reason: string | null;
            /** @description Rows are batched with rows of other requests, and each row is cached. */
            row_independent: boolean;
            /** @description How the worker decided; null before a worker has verified the version. */
            row_independent_reason: string | null;
            status: components["schemas"]["VersionStatus"];
            /** @description The task that converts inputs and outputs; null for a version with a handler of its own, and for raw tensors. */
            task: ("feature-extraction" | "text-classification" | "token-classification" | "text-ranking" | "zero-shot-classification" | "fill-mask" | "image-classification" | "image-feature-extraction" | (string & {})) | null;
            timeout_ms: number;
            version: string;
        };
        VersionList: {
            data: components["schemas"]["Version"][];
            has_more: boolean;
            /** @description `cursor` of the next page; null on the last page. */
            next: string | null;
        };
        VersionStatus: "loading" | "ready" | "failed" | "draining" | "retired" | (string & {});
        Worker: {
            /** @description One item for each loaded version of each engine. An engine has its memory in each of its items. */
            engines: {
                /** @description Resident bytes of the process of the engine. */
                memory_bytes: number | null;
                /** @description Null for an engine without a loaded model. */
                model: string | null;
                /** @description The execution provider of onnxruntime, such as `cpu`. */
                provider: string;
                status: "starting" | "idle" | "busy" | "stopped" | (string & {});
                version: string | null;
            }[];
            /** @description Predictions that the worker holds and has not started. */
            held: number;
            host: string;
            id: string;
            /** @description Resident bytes of the worker and its engines. */
            memory_bytes: number;
            /** @description The versions that the worker can run, each with the execution providers of onnxruntime that run the version. */
            models: {
                name: string;
                providers: string[];
                version: string;
            }[];
            providers: string[];
            /** @description The version of Millrace. */
            release: string;
            roles: string[];
            /** @description Computed rows per second since the last report but one. */
            rows_per_s: number;
            /** Format: date-time */
            seen_at: string;
            /** Format: date-time */
            started_at: string;
            /** @description `stale`: no report for 15 seconds. The worker hangs or has died. Extensible. */
            status: "running" | "draining" | "stale" | (string & {});
        };
        WorkerList: {
            data: components["schemas"]["Worker"][];
            has_more: boolean;
            /** @description `cursor` of the next page; null on the last page. */
            next: string | null;
        };
    };
    responses: {
        /** @description `invalid_json`: The body is not JSON. `invalid_request`: The request does not match the schema. `json_too_deep`: The body is nested too deeply. `invalid_header`: A header is not valid. `invalid_cursor`: The cursor is not valid. */
        BadRequest: {
            headers: {
                "Millrace-Version": components["headers"]["MillraceVersion"];
                "Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description `prediction_terminal`: The prediction has ended. `prediction_not_terminal`: The prediction cannot be retried. `alias_conflict`: The alias conflicts with a version. `endpoint_disabled`: The webhook endpoint is disabled or was deleted. `version_failed`: The version cannot be served. `idempotency_in_progress`: The first request with this key is in progress. `digest_mismatch`: The version exists with other content. `files_full`: The tenant has no room for the file. `canceled`: The prediction was canceled. */
        Conflict: {
            headers: {
                "Millrace-Version": components["headers"]["MillraceVersion"];
                "Request-Id": components["headers"]["RequestId"];
                /** @description Seconds to wait before the next request. */
                "Retry-After"?: number;
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description `expectation_failed`: The expectation cannot be met. */
        ExpectationFailed: {
            headers: {
                "Millrace-Version": components["headers"]["MillraceVersion"];
                "Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description `cross_site_request`: The request comes from a page of another site. */
        Forbidden: {
            headers: {
                "Millrace-Version": components["headers"]["MillraceVersion"];
                "Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description `not_cached`: The result is not in the cache. `expired`: The deadline has passed. */
        GatewayTimeout: {
            headers: {
                /** @description RFC 9211: how the cache handled the request. */
                "Cache-Status"?: string;
                "Millrace-Version": components["headers"]["MillraceVersion"];
                "Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description `cursor_expired`: The cursor has expired. */
        Gone: {
            headers: {
                "Millrace-Version": components["headers"]["MillraceVersion"];
                "Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description Any error, in the form of the Open Inference Protocol. */
        InferenceError: {
            headers: {
                "Millrace-Version": components["headers"]["MillraceVersion"];
                "Request-Id": components["headers"]["RequestId"];
                /** @description Seconds to wait before the next request. */
                "Retry-After"?: number;
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["InferenceError"];
            };
        };
        /** @description `internal`: The server has an internal error. `handler_failed`: The handler of the model failed on this input. `handler_timeout`: The handler of the model took too long. `inference_failed`: The model failed on this input. `inference_timeout`: The model took too long. `worker_lost`: The workers of the prediction were lost. */
        InternalServerError: {
            headers: {
                "Millrace-Version": components["headers"]["MillraceVersion"];
                "Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description `method_not_allowed`: The path does not allow the method. */
        MethodNotAllowed: {
            headers: {
                /** @description RFC 9110: the methods of this path. */
                Allow?: string;
                "Millrace-Version": components["headers"]["MillraceVersion"];
                "Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description `not_found`: The path does not exist. `model_not_found`: The model does not exist. `version_not_found`: The version does not exist. `prediction_not_found`: The prediction does not exist. `file_not_found`: The file does not exist. `files_not_configured`: The server has no file store. `alias_not_found`: The alias does not exist. `entity_type_not_found`: The type of entity does not exist. `entity_not_found`: The entity does not exist. `endpoint_not_found`: The webhook endpoint does not exist. `delivery_not_found`: The webhook delivery does not exist. */
        NotFound: {
            headers: {
                "Millrace-Version": components["headers"]["MillraceVersion"];
                "Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description Any error, in the form of the OpenAI API. */
        OpenAIError: {
            headers: {
                "Millrace-Version": components["headers"]["MillraceVersion"];
                "Request-Id": components["headers"]["RequestId"];
                /** @description Seconds to wait before the next request. */
                "Retry-After"?: number;
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["OpenAIError"];
            };
        };
        /** @description `payload_too_large`: The body is too large. */
        PayloadTooLarge: {
            headers: {
                "Millrace-Version": components["headers"]["MillraceVersion"];
                "Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description `precondition_failed`: The resource has changed. */
        PreconditionFailed: {
            headers: {
                "Millrace-Version": components["headers"]["MillraceVersion"];
                "Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description `range_not_satisfiable`: The range is outside the file. */
        RangeNotSatisfiable: {
            headers: {
                "Millrace-Version": components["headers"]["MillraceVersion"];
                "Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description `headers_too_large`: The headers are too large. */
        RequestHeaderFieldsTooLarge: {
            headers: {
                "Millrace-Version": components["headers"]["MillraceVersion"];
                "Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description `request_timeout`: The request took too long to arrive. */
        RequestTimeout: {
            headers: {
                "Millrace-Version": components["headers"]["MillraceVersion"];
                "Request-Id": components["headers"]["RequestId"];
                /** @description Seconds to wait before the next request. */
                "Retry-After"?: number;
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description `model_unavailable`: The model is not available. `store_unavailable`: A store is not available. `clock_wrong`: The clock of the server is wrong. `shutting_down`: The server is stopping. */
        ServiceUnavailable: {
            headers: {
                "Millrace-Version": components["headers"]["MillraceVersion"];
                "Request-Id": components["headers"]["RequestId"];
                /** @description Seconds to wait before the next request. */
                "Retry-After"?: number;
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description Any error, in the form of text-embeddings-inference. */
        TeiError: {
            headers: {
                "Millrace-Version": components["headers"]["MillraceVersion"];
                "Request-Id": components["headers"]["RequestId"];
                /** @description Seconds to wait before the next request. */
                "Retry-After"?: number;
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["TeiError"];
            };
        };
        /** @description `queue_full`: The queue is full. `body_memory_full`: The API holds too many bytes of requests. `too_many_uploads`: Too many uploads are in progress. `deadline_unreachable`: The deadline cannot be met. */
        TooManyRequests: {
            headers: {
                "Millrace-Version": components["headers"]["MillraceVersion"];
                /** @description IETF draft: the number of predictions that the queue still accepts (`r`). */
                RateLimit?: string;
                "Request-Id": components["headers"]["RequestId"];
                /** @description Seconds to wait before the next request. */
                "Retry-After"?: number;
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description `unauthorized`: An API key is needed. */
        Unauthorized: {
            headers: {
                "Millrace-Version": components["headers"]["MillraceVersion"];
                "Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description `invalid_input`: The model has no result for the input. `image_refused`: The image is refused. `image_unavailable`: The image could not be fetched. `invalid_metadata`: The metadata are not valid. `idempotency_mismatch`: The idempotency key was used with another request. `webhook_refused`: The webhook address is refused. */
        UnprocessableEntity: {
            headers: {
                "Millrace-Version": components["headers"]["MillraceVersion"];
                "Request-Id": components["headers"]["RequestId"];
                /** @description Seconds to wait before the next request. */
                "Retry-After"?: number;
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description `unsupported_media_type`: The media type is not supported. */
        UnsupportedMediaType: {
            headers: {
                "Millrace-Version": components["headers"]["MillraceVersion"];
                "Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
    };
    parameters: never;
    requestBodies: never;
    headers: {
        /** @description The version of the API. */
        MillraceVersion: string;
        /** @description The id of the request: the `Request-Id` that the client sent, or a new id. The log and `request_id` have the same id. */
        RequestId: string;
    };
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    getRoot: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page. */
            200: {
                headers: {
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "text/html": string;
                };
            };
            400: components["responses"]["BadRequest"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    getDocs: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page. */
            200: {
                headers: {
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "text/html": string;
                };
            };
            400: components["responses"]["BadRequest"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    embedTexts: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["TeiEmbedRequest"];
            };
        };
        responses: {
            /** @description The embeddings in the order of the inputs. */
            200: {
                headers: {
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TeiEmbeddings"];
                };
            };
            default: components["responses"]["TeiError"];
        };
    };
    getHealth: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The process is alive. */
            200: {
                headers: {
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Health"];
                };
            };
            400: components["responses"]["BadRequest"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    getMetrics: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Metrics in Prometheus' text format. */
            200: {
                headers: {
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            400: components["responses"]["BadRequest"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    createOpenAIEmbeddings: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["OpenAIEmbeddingsRequest"];
            };
        };
        responses: {
            /** @description The embeddings in the order of the inputs. */
            200: {
                headers: {
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["OpenAIEmbeddings"];
                };
            };
            default: components["responses"]["OpenAIError"];
        };
    };
    listOpenAIModels: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The models by name. */
            200: {
                headers: {
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["OpenAIModels"];
                };
            };
            default: components["responses"]["OpenAIError"];
        };
    };
    getOpenAIModel: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                /** @description A model, or `MODEL:VERSION` with a version or an alias. */
                model: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The model. */
            200: {
                headers: {
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["OpenAIModel"];
                };
            };
            default: components["responses"]["OpenAIError"];
        };
    };
    getOpenApi: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OpenAPI 3.1. */
            200: {
                headers: {
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": Record<string, never>;
                };
            };
            400: components["responses"]["BadRequest"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    getReadiness: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The process is ready. */
            200: {
                headers: {
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Readiness"];
                };
            };
            400: components["responses"]["BadRequest"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            /** @description A part has a fault. */
            503: {
                headers: {
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Readiness"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    rerankTexts: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["TeiRerankRequest"];
            };
        };
        responses: {
            /** @description The texts, the best first. */
            200: {
                headers: {
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TeiRanks"];
                };
            };
            default: components["responses"]["TeiError"];
        };
    };
    embedTextsOfModel: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                /** @description A model, or `MODEL:VERSION` with a version or an alias. */
                model: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["TeiEmbedRequest"];
            };
        };
        responses: {
            /** @description The embeddings in the order of the inputs. */
            200: {
                headers: {
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TeiEmbeddings"];
                };
            };
            default: components["responses"]["TeiError"];
        };
    };
    rerankTextsOfModel: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                /** @description A model, or `MODEL:VERSION` with a version or an alias. */
                model: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["TeiRerankRequest"];
            };
        };
        responses: {
            /** @description The texts, the best first. */
            200: {
                headers: {
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TeiRanks"];
                };
            };
            default: components["responses"]["TeiError"];
        };
    };
    getService: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The server. */
            200: {
                headers: {
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Service"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    listEvents: {
        parameters: {
            query?: {
                /** @description `next` of the previous response. Without a cursor: from the start of the feed. */
                cursor?: string;
                /** @description A number above 1000 counts as 1000. */
                limit?: number;
            };
            header?: {
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The events after `cursor`. */
            200: {
                headers: {
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["EventList"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            410: components["responses"]["Gone"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    getEvent: {
        parameters: {
            query?: never;
            header?: {
                /** @description RFC 9110: the response is 304 if the ETag matches. */
                "If-None-Match"?: string;
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                /** @description Id of an event. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The event. */
            200: {
                headers: {
                    /** @description RFC 9110. */
                    ETag?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Event"];
                };
            };
            /** @description `If-None-Match` matches. */
            304: {
                headers: {
                    /** @description RFC 9110. */
                    ETag?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    listFiles: {
        parameters: {
            query?: {
                /** @description The `next` of the previous page, with the same filters. */
                cursor?: string;
                /** @description The most items of a page. A number above 100 counts as 100. */
                limit?: number;
                /** @description `desc` is newest first, and `asc` is oldest first. */
                order?: "desc" | "asc";
            };
            header?: {
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page. */
            200: {
                headers: {
                    /** @description RFC 8288: the next page. */
                    Link?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["FileList"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    createFile: {
        parameters: {
            query?: {
                /** @description Seconds until the file is deleted. A longer life than `FILES_TTL`, which is also the default, is cut. */
                expires_in?: number;
                /** @description The name of the file. Default: the name in the form. */
                filename?: string;
            };
            header?: {
                /**
                 * @description IETF draft: a repeated request with the same key and the same content has no second effect, for 24 hours. 1 to 255 printable characters.
                 * @example "8e03978e-40d5-43e8-bc93-6894a57f9324"
                 */
                "Idempotency-Key"?: string;
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/octet-stream": string;
                "multipart/form-data": components["schemas"]["UploadForm"];
            };
        };
        responses: {
            /** @description The file. */
            201: {
                headers: {
                    /** @description `true` if the response repeats the response to an earlier request with the same key. */
                    "Idempotent-Replayed"?: string;
                    /** @description The path or URL of the prediction or resource. */
                    Location?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["File"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            422: components["responses"]["UnprocessableEntity"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    getFile: {
        parameters: {
            query?: never;
            header?: {
                /** @description RFC 9110: the response is 304 if the ETag matches. */
                "If-None-Match"?: string;
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                /** @description Id of a file. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The file. */
            200: {
                headers: {
                    /** @description RFC 9110. */
                    ETag?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["File"];
                };
            };
            /** @description `If-None-Match` matches. */
            304: {
                headers: {
                    /** @description RFC 9110. */
                    ETag?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    deleteFile: {
        parameters: {
            query?: never;
            header?: {
                /** @description RFC 9110: the change is made only if the resource still has this ETag; otherwise the response is 412 `precondition_failed`. */
                "If-Match"?: string;
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                /** @description Id of a file. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            204: {
                headers: {
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            412: components["responses"]["PreconditionFailed"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    getFileContent: {
        parameters: {
            query?: never;
            header?: {
                /** @description RFC 9110: the response is 304 if the ETag matches. */
                "If-None-Match"?: string;
                /** @description RFC 9110: the range is sent only if the file still has this ETag; otherwise the whole content is sent. */
                "If-Range"?: string;
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /**
                 * @description RFC 9110: one range of bytes. Another value counts as no range.
                 * @example bytes=0-1023
                 */
                Range?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                /** @description Id of a file. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The content. */
            200: {
                headers: {
                    /** @description RFC 9110: the unit of ranges. */
                    "Accept-Ranges"?: string;
                    /** @description RFC 9110. */
                    ETag?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/octet-stream": string;
                };
            };
            /** @description The range of the content. */
            206: {
                headers: {
                    /** @description RFC 9110: the unit of ranges. */
                    "Accept-Ranges"?: string;
                    /** @description RFC 9110: the range in the response, and the bytes of the whole content. */
                    "Content-Range"?: string;
                    /** @description RFC 9110. */
                    ETag?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/octet-stream": string;
                };
            };
            /** @description `If-None-Match` matches. */
            304: {
                headers: {
                    /** @description RFC 9110. */
                    ETag?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            415: components["responses"]["UnsupportedMediaType"];
            416: components["responses"]["RangeNotSatisfiable"];
            417: components["responses"]["ExpectationFailed"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    listModels: {
        parameters: {
            query?: {
                /** @description The `next` of the previous page, with the same filters. */
                cursor?: string;
                /** @description The most items of a page. A number above 100 counts as 100. */
                limit?: number;
                /** @description Only the models with these names: at most 100 names, separated by commas. */
                name?: string;
                /** @description Only models whose name or description contains this text, in any case. */
                q?: string;
                /** @description Only models with a version of this status. */
                status?: "loading" | "ready" | "failed" | "draining" | "retired";
            };
            header?: {
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page, sorted by name. */
            200: {
                headers: {
                    /** @description RFC 8288: the next page. */
                    Link?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ModelList"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    getModel: {
        parameters: {
            query?: never;
            header?: {
                /** @description RFC 9110: the response is 304 if the ETag matches. */
                "If-None-Match"?: string;
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                /** @description Name of a model. */
                model: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The model. */
            200: {
                headers: {
                    /** @description RFC 9110. */
                    ETag?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Model"];
                };
            };
            /** @description `If-None-Match` matches. */
            304: {
                headers: {
                    /** @description RFC 9110. */
                    ETag?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    getAlias: {
        parameters: {
            query?: never;
            header?: {
                /** @description RFC 9110: the response is 304 if the ETag matches. */
                "If-None-Match"?: string;
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                /** @description Such as `production`, which serves requests without a version. */
                alias: string;
                /** @description Name of a model. */
                model: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The alias. */
            200: {
                headers: {
                    /** @description RFC 9110. */
                    ETag?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Alias"];
                };
            };
            /** @description `If-None-Match` matches. */
            304: {
                headers: {
                    /** @description RFC 9110. */
                    ETag?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    setAlias: {
        parameters: {
            query?: never;
            header?: {
                /** @description RFC 9110: the change is made only if the resource still has this ETag; otherwise the response is 412 `precondition_failed`. */
                "If-Match"?: string;
                /** @description RFC 9110: the response is 304 if the ETag matches. */
                "If-None-Match"?: string;
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                /** @description Such as `production`, which serves requests without a version. */
                alias: string;
                /** @description Name of a model. */
                model: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SetAlias"];
            };
        };
        responses: {
            /** @description The model, with its aliases. `ETag` is the tag of the alias. */
            200: {
                headers: {
                    /** @description RFC 9110. */
                    ETag?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Model"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["PreconditionFailed"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    removeAlias: {
        parameters: {
            query?: never;
            header?: {
                /** @description RFC 9110: the change is made only if the resource still has this ETag; otherwise the response is 412 `precondition_failed`. */
                "If-Match"?: string;
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                /** @description Such as `production`, which serves requests without a version. */
                alias: string;
                /** @description Name of a model. */
                model: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            204: {
                headers: {
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            412: components["responses"]["PreconditionFailed"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    purgeCache: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                /** @description Name of a model. */
                model: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            204: {
                headers: {
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    listModelEntityTypes: {
        parameters: {
            query?: {
                /** @description The `next` of the previous page, with the same filters. */
                cursor?: string;
                /** @description The most items of a page. A number above 100 counts as 100. */
                limit?: number;
            };
            header?: {
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                /** @description Name of a model. */
                model: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page, sorted by name. */
            200: {
                headers: {
                    /** @description RFC 8288: the next page. */
                    Link?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["EntityTypeList"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            409: components["responses"]["Conflict"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    searchModelEntities: {
        parameters: {
            query?: {
                /** @description The `next` of the previous page, with the same filters. */
                cursor?: string;
                /** @description The most items of a page. A number above 100 counts as 100. */
                limit?: number;
                /** @description The beginning or a part of a name or alias. Without such a name: similar names. */
                q?: string;
            };
            header?: {
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                /** @description A type of entities, such as `drug`. */
                entity: string;
                /** @description Name of a model. */
                model: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page. Names that begin with `q` come first. */
            200: {
                headers: {
                    /** @description RFC 8288: the next page. */
                    Link?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["EntityList"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            409: components["responses"]["Conflict"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    getModelEntity: {
        parameters: {
            query?: never;
            header?: {
                /** @description RFC 9110: the response is 304 if the ETag matches. */
                "If-None-Match"?: string;
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                /** @description A type of entities, such as `drug`. */
                entity: string;
                /** @description The key, name or alias of an entity. */
                key: string;
                /** @description Name of a model. */
                model: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The entity. */
            200: {
                headers: {
                    /** @description RFC 9110. */
                    ETag?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Entity"];
                };
            };
            /** @description `If-None-Match` matches. */
            304: {
                headers: {
                    /** @description RFC 9110. */
                    ETag?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            409: components["responses"]["Conflict"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    createPrediction: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description RFC 9111: `no-cache` computes and stores a new result; `no-store` neither reads, stores nor shares; `only-if-cached` is 504 on a cache miss; `max-age=N` accepts no older result.
                 * @example no-cache
                 */
                "Cache-Control"?: string;
                /**
                 * @description IETF draft: a repeated request with the same key and the same content has no second effect, for 24 hours. 1 to 255 printable characters.
                 * @example "8e03978e-40d5-43e8-bc93-6894a57f9324"
                 */
                "Idempotency-Key"?: string;
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /**
                 * @description RFC 7240: `wait=N` holds the response for up to N seconds, 1 to 60; `respond-async` alone does not wait.
                 * @example wait=10
                 */
                Prefer?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                /** @description Name of a model. */
                model: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CreatePrediction"];
                "multipart/form-data": components["schemas"]["CreatePredictionForm"];
            };
        };
        responses: {
            /** @description A terminal prediction; from the cache if `Cache-Status` has `hit`. */
            200: {
                headers: {
                    /** @description Seconds since the result was computed. */
                    Age?: number;
                    /** @description RFC 9211: how the cache handled the request. */
                    "Cache-Status"?: string;
                    /** @description The path or URL of the prediction in the response. */
                    "Content-Location"?: string;
                    /** @description RFC 9110. */
                    ETag?: string;
                    /** @description `true` if the response repeats the response to an earlier request with the same key. */
                    "Idempotent-Replayed"?: string;
                    /** @description The `status` of the prediction in the response. */
                    "Millrace-Prediction-Status"?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    /** @description RFC 7240: the preference that was applied. */
                    "Preference-Applied"?: string;
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Prediction"];
                };
            };
            /** @description Accepted, and not yet terminal: get `Location` after `Retry-After`. */
            202: {
                headers: {
                    /** @description RFC 9211: how the cache handled the request. */
                    "Cache-Status"?: string;
                    /** @description `true` if the response repeats the response to an earlier request with the same key. */
                    "Idempotent-Replayed"?: string;
                    /** @description The path or URL of the prediction or resource. */
                    Location?: string;
                    /** @description The `status` of the prediction in the response. */
                    "Millrace-Prediction-Status"?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    /** @description RFC 7240: the preference that was applied. */
                    "Preference-Applied"?: string;
                    /** @description IETF draft: the number of predictions that the queue still accepts (`r`). */
                    RateLimit?: string;
                    /** @description IETF draft: the number of predictions that the queue can hold (`q`). */
                    "RateLimit-Policy"?: string;
                    "Request-Id": components["headers"]["RequestId"];
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Prediction"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            422: components["responses"]["UnprocessableEntity"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
            504: components["responses"]["GatewayTimeout"];
        };
    };
    listVersions: {
        parameters: {
            query?: {
                /** @description The `next` of the previous page, with the same filters. */
                cursor?: string;
                /** @description The most items of a page. A number above 100 counts as 100. */
                limit?: number;
            };
            header?: {
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                /** @description Name of a model. */
                model: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page. */
            200: {
                headers: {
                    /** @description RFC 8288: the next page. */
                    Link?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["VersionList"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    getVersion: {
        parameters: {
            query?: never;
            header?: {
                /** @description RFC 9110: the response is 304 if the ETag matches. */
                "If-None-Match"?: string;
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                /** @description Name of a model. */
                model: string;
                /** @description A version, or an alias of one. */
                version: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The version. */
            200: {
                headers: {
                    /** @description RFC 9110. */
                    ETag?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Version"];
                };
            };
            /** @description `If-None-Match` matches. */
            304: {
                headers: {
                    /** @description RFC 9110. */
                    ETag?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    getCard: {
        parameters: {
            query?: never;
            header?: {
                /** @description RFC 9110: the response is 304 if the ETag matches. */
                "If-None-Match"?: string;
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                /** @description Name of a model. */
                model: string;
                /** @description A version, or an alias of one. */
                version: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The card. The members are null without the files. */
            200: {
                headers: {
                    /** @description RFC 9110. */
                    ETag?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Card"];
                };
            };
            /** @description `If-None-Match` matches. */
            304: {
                headers: {
                    /** @description RFC 9110. */
                    ETag?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    listVersionEntityTypes: {
        parameters: {
            query?: {
                /** @description The `next` of the previous page, with the same filters. */
                cursor?: string;
                /** @description The most items of a page. A number above 100 counts as 100. */
                limit?: number;
            };
            header?: {
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                /** @description Name of a model. */
                model: string;
                /** @description A version, or an alias of a version. */
                version: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page, sorted by name. */
            200: {
                headers: {
                    /** @description RFC 8288: the next page. */
                    Link?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["EntityTypeList"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            409: components["responses"]["Conflict"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    searchVersionEntities: {
        parameters: {
            query?: {
                /** @description The `next` of the previous page, with the same filters. */
                cursor?: string;
                /** @description The most items of a page. A number above 100 counts as 100. */
                limit?: number;
                /** @description The beginning or a part of a name or alias. Without such a name: similar names. */
                q?: string;
            };
            header?: {
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                /** @description A type of entities, such as `drug`. */
                entity: string;
                /** @description Name of a model. */
                model: string;
                /** @description A version, or an alias of a version. */
                version: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page. Names that begin with `q` come first. */
            200: {
                headers: {
                    /** @description RFC 8288: the next page. */
                    Link?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["EntityList"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            409: components["responses"]["Conflict"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    getVersionEntity: {
        parameters: {
            query?: never;
            header?: {
                /** @description RFC 9110: the response is 304 if the ETag matches. */
                "If-None-Match"?: string;
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                /** @description A type of entities, such as `drug`. */
                entity: string;
                /** @description The key, name or alias of an entity. */
                key: string;
                /** @description Name of a model. */
                model: string;
                /** @description A version, or an alias of a version. */
                version: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The entity. */
            200: {
                headers: {
                    /** @description RFC 9110. */
                    ETag?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Entity"];
                };
            };
            /** @description `If-None-Match` matches. */
            304: {
                headers: {
                    /** @description RFC 9110. */
                    ETag?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            409: components["responses"]["Conflict"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    createPinnedPrediction: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description RFC 9111: `no-cache` computes and stores a new result; `no-store` neither reads, stores nor shares; `only-if-cached` is 504 on a cache miss; `max-age=N` accepts no older result.
                 * @example no-cache
                 */
                "Cache-Control"?: string;
                /**
                 * @description IETF draft: a repeated request with the same key and the same content has no second effect, for 24 hours. 1 to 255 printable characters.
                 * @example "8e03978e-40d5-43e8-bc93-6894a57f9324"
                 */
                "Idempotency-Key"?: string;
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /**
                 * @description RFC 7240: `wait=N` holds the response for up to N seconds, 1 to 60; `respond-async` alone does not wait.
                 * @example wait=10
                 */
                Prefer?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                /** @description Name of a model. */
                model: string;
                /** @description A version, or an alias of one. */
                version: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CreatePrediction"];
                "multipart/form-data": components["schemas"]["CreatePredictionForm"];
            };
        };
        responses: {
            /** @description A terminal prediction; from the cache if `Cache-Status` has `hit`. */
            200: {
                headers: {
                    /** @description Seconds since the result was computed. */
                    Age?: number;
                    /** @description RFC 9211: how the cache handled the request. */
                    "Cache-Status"?: string;
                    /** @description The path or URL of the prediction in the response. */
                    "Content-Location"?: string;
                    /** @description RFC 9110. */
                    ETag?: string;
                    /** @description `true` if the response repeats the response to an earlier request with the same key. */
                    "Idempotent-Replayed"?: string;
                    /** @description The `status` of the prediction in the response. */
                    "Millrace-Prediction-Status"?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    /** @description RFC 7240: the preference that was applied. */
                    "Preference-Applied"?: string;
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Prediction"];
                };
            };
            /** @description Accepted, and not yet terminal: get `Location` after `Retry-After`. */
            202: {
                headers: {
                    /** @description RFC 9211: how the cache handled the request. */
                    "Cache-Status"?: string;
                    /** @description `true` if the response repeats the response to an earlier request with the same key. */
                    "Idempotent-Replayed"?: string;
                    /** @description The path or URL of the prediction or resource. */
                    Location?: string;
                    /** @description The `status` of the prediction in the response. */
                    "Millrace-Prediction-Status"?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    /** @description RFC 7240: the preference that was applied. */
                    "Preference-Applied"?: string;
                    /** @description IETF draft: the number of predictions that the queue still accepts (`r`). */
                    RateLimit?: string;
                    /** @description IETF draft: the number of predictions that the queue can hold (`q`). */
                    "RateLimit-Policy"?: string;
                    "Request-Id": components["headers"]["RequestId"];
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Prediction"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            422: components["responses"]["UnprocessableEntity"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
            504: components["responses"]["GatewayTimeout"];
        };
    };
    retireVersion: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description IETF draft: a repeated request with the same key and the same content has no second effect, for 24 hours. 1 to 255 printable characters.
                 * @example "8e03978e-40d5-43e8-bc93-6894a57f9324"
                 */
                "Idempotency-Key"?: string;
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                /** @description Name of a model. */
                model: string;
                /** @description A version, or an alias of one. */
                version: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["NoParameters"];
            };
        };
        responses: {
            /** @description The version. */
            200: {
                headers: {
                    /** @description `true` if the response repeats the response to an earlier request with the same key. */
                    "Idempotent-Replayed"?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Version"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            422: components["responses"]["UnprocessableEntity"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    listPredictions: {
        parameters: {
            query?: {
                /** @description A time such as 2026-01-31T12:00:00Z. */
                created_after?: string;
                /** @description A time such as 2026-01-31T12:00:00Z. */
                created_before?: string;
                /** @description The `next` of the previous page, with the same filters. */
                cursor?: string;
                /** @description Only predictions that did not succeed, with this `error.code`. */
                error?: string;
                /** @description Only the predictions with these ids: at most 100 ids, separated by commas. */
                id?: string;
                /** @description Only predictions whose ids begin with this text. */
                id_prefix?: string;
                /** @description `output`: each prediction has its output. `input`: each prediction has its input in canonical form; null for a succeeded prediction, whose input is not kept. A page ends where its inputs and outputs reach 4 MiB. */
                include?: "output" | "input" | "input,output" | "output,input";
                /** @description The most items of a page. A number above 100 counts as 100. */
                limit?: number;
                /** @description Only predictions of this model. */
                model?: string;
                /** @description `desc` is newest first, and `asc` is oldest first. */
                order?: "desc" | "asc";
                /** @description Only predictions with this status, or with one of several statuses, such as `failed,canceled`. */
                status?: string;
                /** @description Only predictions of this version. */
                version?: string;
            };
            header?: {
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page. */
            200: {
                headers: {
                    /** @description RFC 8288: the next page. */
                    Link?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PredictionList"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    getPrediction: {
        parameters: {
            query?: {
                /** @description The prediction has its input in canonical form; null for a succeeded prediction, whose input is not kept. */
                include?: "input";
                /** @description The most seconds to wait until the prediction is terminal. A longer wait is cut to 60 s. */
                wait?: number;
            };
            header?: {
                /** @description RFC 9110: the response is 304 if the ETag matches. */
                "If-None-Match"?: string;
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /**
                 * @description RFC 7240: `wait=N` holds the response for up to N seconds, 1 to 60; `respond-async` alone does not wait.
                 * @example wait=10
                 */
                Prefer?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                /** @description Id of a prediction. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The prediction. `ETag` is present when terminal, and `Retry-After` otherwise. */
            200: {
                headers: {
                    /** @description How a cache of the client may store the response. */
                    "Cache-Control"?: string;
                    /** @description RFC 9110. */
                    ETag?: string;
                    /** @description The `status` of the prediction in the response. */
                    "Millrace-Prediction-Status"?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    /** @description RFC 7240: the preference that was applied. */
                    "Preference-Applied"?: string;
                    "Request-Id": components["headers"]["RequestId"];
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Prediction"];
                };
            };
            /** @description The prediction is terminal, and `If-None-Match` matches. */
            304: {
                headers: {
                    /** @description How a cache of the client may store the response. */
                    "Cache-Control"?: string;
                    /** @description RFC 9110. */
                    ETag?: string;
                    /** @description The `status` of the prediction in the response. */
                    "Millrace-Prediction-Status"?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    /** @description RFC 7240: the preference that was applied. */
                    "Preference-Applied"?: string;
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    cancelPrediction: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description IETF draft: a repeated request with the same key and the same content has no second effect, for 24 hours. 1 to 255 printable characters.
                 * @example "8e03978e-40d5-43e8-bc93-6894a57f9324"
                 */
                "Idempotency-Key"?: string;
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                /** @description Id of a prediction. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["NoParameters"];
            };
        };
        responses: {
            /** @description The prediction is canceled. */
            200: {
                headers: {
                    /** @description RFC 9110. */
                    ETag?: string;
                    /** @description `true` if the response repeats the response to an earlier request with the same key. */
                    "Idempotent-Replayed"?: string;
                    /** @description The `status` of the prediction in the response. */
                    "Millrace-Prediction-Status"?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Prediction"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            422: components["responses"]["UnprocessableEntity"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    watchPrediction: {
        parameters: {
            query?: never;
            header?: {
                /** @description The id of the last received event. An EventSource sends this header automatically. */
                "Last-Event-ID"?: string;
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                /** @description Id of a prediction. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Events, as they happen. */
            200: {
                headers: {
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": string;
                };
            };
            /** @description `Last-Event-ID` is the last event. */
            204: {
                headers: {
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    retryPrediction: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description IETF draft: a repeated request with the same key and the same content has no second effect, for 24 hours. 1 to 255 printable characters.
                 * @example "8e03978e-40d5-43e8-bc93-6894a57f9324"
                 */
                "Idempotency-Key"?: string;
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                /** @description Id of a prediction. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["NoParameters"];
            };
        };
        responses: {
            /** @description The prediction has ended again. */
            200: {
                headers: {
                    /** @description RFC 9110. */
                    ETag?: string;
                    /** @description `true` if the response repeats the response to an earlier request with the same key. */
                    "Idempotent-Replayed"?: string;
                    /** @description The `status` of the prediction in the response. */
                    "Millrace-Prediction-Status"?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Prediction"];
                };
            };
            /** @description Accepted, and not yet terminal: get `Location` after `Retry-After`. */
            202: {
                headers: {
                    /** @description `true` if the response repeats the response to an earlier request with the same key. */
                    "Idempotent-Replayed"?: string;
                    /** @description The path or URL of the prediction or resource. */
                    Location?: string;
                    /** @description The `status` of the prediction in the response. */
                    "Millrace-Prediction-Status"?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    /** @description Seconds to wait before the next request. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Prediction"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            422: components["responses"]["UnprocessableEntity"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    cancelPredictionByKey: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description IETF draft: a repeated request with the same key and the same content has no second effect, for 24 hours. 1 to 255 printable characters.
                 * @example "8e03978e-40d5-43e8-bc93-6894a57f9324"
                 */
                "Idempotency-Key"?: string;
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CancelPrediction"];
            };
        };
        responses: {
            /** @description The prediction of the key is canceled. */
            200: {
                headers: {
                    /** @description RFC 9110. */
                    ETag?: string;
                    /** @description `true` if the response repeats the response to an earlier request with the same key. */
                    "Idempotent-Replayed"?: string;
                    /** @description The `status` of the prediction in the response. */
                    "Millrace-Prediction-Status"?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Prediction"];
                };
            };
            /** @description The step is complete. */
            202: {
                headers: {
                    /** @description `true` if the response repeats the response to an earlier request with the same key. */
                    "Idempotent-Replayed"?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["BulkAction"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            422: components["responses"]["UnprocessableEntity"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    retryPredictions: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description IETF draft: a repeated request with the same key and the same content has no second effect, for 24 hours. 1 to 255 printable characters.
                 * @example "8e03978e-40d5-43e8-bc93-6894a57f9324"
                 */
                "Idempotency-Key"?: string;
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RetryPredictions"];
            };
        };
        responses: {
            /** @description The step is complete. */
            202: {
                headers: {
                    /** @description `true` if the response repeats the response to an earlier request with the same key. */
                    "Idempotent-Replayed"?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["BulkAction"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            422: components["responses"]["UnprocessableEntity"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    listStats: {
        parameters: {
            query?: {
                /** @description The `next` of the previous page, with the same filters. */
                cursor?: string;
                /** @description The beginning, RFC 3339. By default an hour before `to`. */
                from?: string;
                /** @description The most steps of a page. By default all steps. */
                limit?: number;
                /** @description Only predictions of this model; otherwise of all models. */
                model?: string;
                /** @description Seconds of one step, a multiple of 60. By default the list has at most 200 steps. A list has at most 1,500 steps. More than 48 hours need whole hours: a multiple of 3600. */
                step?: number;
                /** @description The end, RFC 3339. By default the present. */
                to?: string;
            };
            header?: {
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The steps. */
            200: {
                headers: {
                    /** @description RFC 8288: the next page. */
                    Link?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["StatsList"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    listModelStats: {
        parameters: {
            query?: {
                /** @description The `next` of the previous page, with the same filters. */
                cursor?: string;
                /** @description The beginning, RFC 3339. By default an hour before `to`. */
                from?: string;
                /** @description The most items of a page. A number above 100 counts as 100. */
                limit?: number;
                /** @description Seconds of one step, a multiple of 60. By default the list has at most 200 steps. A list has at most 1,500 steps. More than 48 hours need whole hours: a multiple of 3600. */
                step?: number;
                /** @description The end, RFC 3339. By default the present. */
                to?: string;
            };
            header?: {
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The models. */
            200: {
                headers: {
                    /** @description RFC 8288: the next page. */
                    Link?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ModelStatsList"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    listDeliveries: {
        parameters: {
            query?: {
                /** @description A time such as 2026-01-31T12:00:00Z. */
                created_after?: string;
                /** @description A time such as 2026-01-31T12:00:00Z. */
                created_before?: string;
                /** @description The `next` of the previous page, with the same filters. */
                cursor?: string;
                /** @description Id of an endpoint. */
                endpoint_id?: string;
                /** @description The most items of a page. A number above 100 counts as 100. */
                limit?: number;
                /** @description `desc` is newest first, and `asc` is oldest first. */
                order?: "desc" | "asc";
                /** @description Id of a prediction. */
                prediction_id?: string;
                status?: "pending" | "delivered" | "failed" | "canceled";
            };
            header?: {
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page. */
            200: {
                headers: {
                    /** @description RFC 8288: the next page. */
                    Link?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DeliveryList"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    getDelivery: {
        parameters: {
            query?: never;
            header?: {
                /** @description RFC 9110: the response is 304 if the ETag matches. */
                "If-None-Match"?: string;
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The delivery. */
            200: {
                headers: {
                    /** @description RFC 9110. */
                    ETag?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Delivery"];
                };
            };
            /** @description `If-None-Match` matches. */
            304: {
                headers: {
                    /** @description RFC 9110. */
                    ETag?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    redeliverDelivery: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description IETF draft: a repeated request with the same key and the same content has no second effect, for 24 hours. 1 to 255 printable characters.
                 * @example "8e03978e-40d5-43e8-bc93-6894a57f9324"
                 */
                "Idempotency-Key"?: string;
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["NoParameters"];
            };
        };
        responses: {
            /** @description The delivery is due now. */
            202: {
                headers: {
                    /** @description `true` if the response repeats the response to an earlier request with the same key. */
                    "Idempotent-Replayed"?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Delivery"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            422: components["responses"]["UnprocessableEntity"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    redeliverDeliveries: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description IETF draft: a repeated request with the same key and the same content has no second effect, for 24 hours. 1 to 255 printable characters.
                 * @example "8e03978e-40d5-43e8-bc93-6894a57f9324"
                 */
                "Idempotency-Key"?: string;
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RedeliverDeliveries"];
            };
        };
        responses: {
            /** @description The number of deliveries that are due now. */
            202: {
                headers: {
                    /** @description `true` if the response repeats the response to an earlier request with the same key. */
                    "Idempotent-Replayed"?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Redelivered"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            422: components["responses"]["UnprocessableEntity"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    listEndpoints: {
        parameters: {
            query?: {
                /** @description The `next` of the previous page, with the same filters. */
                cursor?: string;
                /** @description The most items of a page. A number above 100 counts as 100. */
                limit?: number;
                /** @description `desc` is newest first, and `asc` is oldest first. */
                order?: "desc" | "asc";
            };
            header?: {
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page. */
            200: {
                headers: {
                    /** @description RFC 8288: the next page. */
                    Link?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["EndpointList"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    createEndpoint: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description IETF draft: a repeated request with the same key and the same content has no second effect, for 24 hours. 1 to 255 printable characters.
                 * @example "8e03978e-40d5-43e8-bc93-6894a57f9324"
                 */
                "Idempotency-Key"?: string;
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CreateEndpoint"];
            };
        };
        responses: {
            /** @description The endpoint with its secret, which is shown only once. */
            201: {
                headers: {
                    /** @description `true` if the response repeats the response to an earlier request with the same key. */
                    "Idempotent-Replayed"?: string;
                    /** @description The path or URL of the prediction or resource. */
                    Location?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["NewEndpoint"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            422: components["responses"]["UnprocessableEntity"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    getEndpoint: {
        parameters: {
            query?: never;
            header?: {
                /** @description RFC 9110: the response is 304 if the ETag matches. */
                "If-None-Match"?: string;
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The endpoint. */
            200: {
                headers: {
                    /** @description RFC 9110. */
                    ETag?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Endpoint"];
                };
            };
            /** @description `If-None-Match` matches. */
            304: {
                headers: {
                    /** @description RFC 9110. */
                    ETag?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    removeEndpoint: {
        parameters: {
            query?: never;
            header?: {
                /** @description RFC 9110: the change is made only if the resource still has this ETag; otherwise the response is 412 `precondition_failed`. */
                "If-Match"?: string;
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            204: {
                headers: {
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            412: components["responses"]["PreconditionFailed"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    changeEndpoint: {
        parameters: {
            query?: never;
            header?: {
                /** @description RFC 9110: the change is made only if the resource still has this ETag; otherwise the response is 412 `precondition_failed`. */
                "If-Match"?: string;
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ChangeEndpoint"];
            };
        };
        responses: {
            /** @description The endpoint after the change. */
            200: {
                headers: {
                    /** @description RFC 9110. */
                    ETag?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Endpoint"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            412: components["responses"]["PreconditionFailed"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            422: components["responses"]["UnprocessableEntity"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    rotateEndpointSecret: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description IETF draft: a repeated request with the same key and the same content has no second effect, for 24 hours. 1 to 255 printable characters.
                 * @example "8e03978e-40d5-43e8-bc93-6894a57f9324"
                 */
                "Idempotency-Key"?: string;
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["RotateSecret"];
            };
        };
        responses: {
            /** @description The new secret, which is shown only once. */
            200: {
                headers: {
                    /** @description `true` if the response repeats the response to an earlier request with the same key. */
                    "Idempotent-Replayed"?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Rotated"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            422: components["responses"]["UnprocessableEntity"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    testEndpoint: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description IETF draft: a repeated request with the same key and the same content has no second effect, for 24 hours. 1 to 255 printable characters.
                 * @example "8e03978e-40d5-43e8-bc93-6894a57f9324"
                 */
                "Idempotency-Key"?: string;
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["NoParameters"];
            };
        };
        responses: {
            /** @description The delivery is scheduled. */
            202: {
                headers: {
                    /** @description `true` if the response repeats the response to an earlier request with the same key. */
                    "Idempotent-Replayed"?: string;
                    /** @description The path or URL of the prediction or resource. */
                    Location?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Delivery"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            422: components["responses"]["UnprocessableEntity"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    getSecret: {
        parameters: {
            query?: never;
            header?: {
                /** @description RFC 9110: the response is 304 if the ETag matches. */
                "If-None-Match"?: string;
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The times of the secret, never the secret. */
            200: {
                headers: {
                    /** @description RFC 9110. */
                    ETag?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SecretState"];
                };
            };
            /** @description `If-None-Match` matches. */
            304: {
                headers: {
                    /** @description RFC 9110. */
                    ETag?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    rotateSecret: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description IETF draft: a repeated request with the same key and the same content has no second effect, for 24 hours. 1 to 255 printable characters.
                 * @example "8e03978e-40d5-43e8-bc93-6894a57f9324"
                 */
                "Idempotency-Key"?: string;
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["RotateSecret"];
            };
        };
        responses: {
            /** @description The new secret, which is shown only once. */
            200: {
                headers: {
                    /** @description `true` if the response repeats the response to an earlier request with the same key. */
                    "Idempotent-Replayed"?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Rotated"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            422: components["responses"]["UnprocessableEntity"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    listWorkers: {
        parameters: {
            query?: {
                /** @description The `next` of the previous page, with the same filters. */
                cursor?: string;
                /** @description The most items of a page. A number above 100 counts as 100. */
                limit?: number;
            };
            header?: {
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page. */
            200: {
                headers: {
                    /** @description RFC 8288: the next page. */
                    Link?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["WorkerList"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    getWorker: {
        parameters: {
            query?: never;
            header?: {
                /** @description RFC 9110: the response is 304 if the ETag matches. */
                "If-None-Match"?: string;
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                /** @description Id of a worker. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The worker. */
            200: {
                headers: {
                    /** @description RFC 9110. */
                    ETag?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Worker"];
                };
            };
            /** @description `If-None-Match` matches. */
            304: {
                headers: {
                    /** @description RFC 9110. */
                    ETag?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            404: components["responses"]["NotFound"];
            408: components["responses"]["RequestTimeout"];
            415: components["responses"]["UnsupportedMediaType"];
            417: components["responses"]["ExpectationFailed"];
            431: components["responses"]["RequestHeaderFieldsTooLarge"];
            500: components["responses"]["InternalServerError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    getServerMetadata: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The server. */
            200: {
                headers: {
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ServerMetadata"];
                };
            };
            default: components["responses"]["InferenceError"];
        };
    };
    getServerLive: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The process is alive. */
            200: {
                headers: {
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ServerLive"];
                };
            };
            default: components["responses"]["InferenceError"];
        };
    };
    getServerReady: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The process is ready. */
            200: {
                headers: {
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ServerReady"];
                };
            };
            /** @description A part has a fault. */
            503: {
                headers: {
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ServerReady"];
                };
            };
            default: components["responses"]["InferenceError"];
        };
    };
    getModelMetadata: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                /** @description Name of a model. */
                model: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The model. */
            200: {
                headers: {
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ModelMetadata"];
                };
            };
            default: components["responses"]["InferenceError"];
        };
    };
    inferModel: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                /** @description Name of a model. */
                model: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["InferenceRequest"];
                "application/octet-stream": string;
            };
        };
        responses: {
            /** @description The outputs. */
            200: {
                headers: {
                    /** @description RFC 9211: how the cache handled the request. */
                    "Cache-Status"?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["InferenceResponse"];
                    "application/octet-stream": string;
                };
            };
            default: components["responses"]["InferenceError"];
        };
    };
    getModelReady: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                /** @description Name of a model. */
                model: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The model is ready. */
            200: {
                headers: {
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ModelReady"];
                };
            };
            /** @description The model is not ready. */
            503: {
                headers: {
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ModelReady"];
                };
            };
            default: components["responses"]["InferenceError"];
        };
    };
    getModelStatistics: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                /** @description Name of a model. */
                model: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The statistics of each version. */
            200: {
                headers: {
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["InferenceStatistics"];
                };
            };
            default: components["responses"]["InferenceError"];
        };
    };
    getVersionModelMetadata: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                /** @description Name of a model. */
                model: string;
                /** @description A version, or an alias of a version. */
                version: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The model. */
            200: {
                headers: {
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ModelMetadata"];
                };
            };
            default: components["responses"]["InferenceError"];
        };
    };
    inferVersionModel: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                /** @description Name of a model. */
                model: string;
                /** @description A version, or an alias of a version. */
                version: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["InferenceRequest"];
                "application/octet-stream": string;
            };
        };
        responses: {
            /** @description The outputs. */
            200: {
                headers: {
                    /** @description RFC 9211: how the cache handled the request. */
                    "Cache-Status"?: string;
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["InferenceResponse"];
                    "application/octet-stream": string;
                };
            };
            default: components["responses"]["InferenceError"];
        };
    };
    getVersionModelReady: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                /** @description Name of a model. */
                model: string;
                /** @description A version, or an alias of a version. */
                version: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The model is ready. */
            200: {
                headers: {
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ModelReady"];
                };
            };
            /** @description The model is not ready. */
            503: {
                headers: {
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ModelReady"];
                };
            };
            default: components["responses"]["InferenceError"];
        };
    };
    getVersionModelStatistics: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                /** @description Name of a model. */
                model: string;
                /** @description A version, or an alias of a version. */
                version: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The statistics of each version. */
            200: {
                headers: {
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["InferenceStatistics"];
                };
            };
            default: components["responses"]["InferenceError"];
        };
    };
    getAllModelStatistics: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The statistics of each version. */
            200: {
                headers: {
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["InferenceStatistics"];
                };
            };
            default: components["responses"]["InferenceError"];
        };
    };
    indexRepository: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["RepositoryIndexRequest"];
            };
        };
        responses: {
            /** @description The versions. */
            200: {
                headers: {
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RepositoryIndex"];
                };
            };
            default: components["responses"]["InferenceError"];
        };
    };
    loadModel: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                /** @description Name of a model. */
                model: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["RepositoryRequest"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            default: components["responses"]["InferenceError"];
        };
    };
    unloadModel: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description The version of the API that the client expects, a date.
                 * @example 2026-12-01
                 */
                "Millrace-Version"?: string;
                /** @description An id of the client, 1 to 128 printable characters. The response and the log have the same id. */
                "Request-Id"?: string;
            };
            path: {
                /** @description Name of a model. */
                model: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["RepositoryRequest"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "Millrace-Version": components["headers"]["MillraceVersion"];
                    "Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            default: components["responses"]["InferenceError"];
        };
    };
    onPredictionCanceled: {
        parameters: {
            query?: never;
            header: {
                /** @description The id of the event, equal for all attempts. */
                "webhook-id": string;
                /** @description Signatures of Standard Webhooks 1.0, separated by spaces. */
                "webhook-signature": string;
                /** @description Unix seconds of the attempt. */
                "webhook-timestamp": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["PredictionEvent"];
            };
        };
        responses: {
            /** @description The event is delivered. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The endpoint is disabled. */
            410: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The attempt failed: a later attempt follows. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    onPredictionExpired: {
        parameters: {
            query?: never;
            header: {
                /** @description The id of the event, equal for all attempts. */
                "webhook-id": string;
                /** @description Signatures of Standard Webhooks 1.0, separated by spaces. */
                "webhook-signature": string;
                /** @description Unix seconds of the attempt. */
                "webhook-timestamp": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["PredictionEvent"];
            };
        };
        responses: {
            /** @description The event is delivered. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The endpoint is disabled. */
            410: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The attempt failed: a later attempt follows. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    onPredictionFailed: {
        parameters: {
            query?: never;
            header: {
                /** @description The id of the event, equal for all attempts. */
                "webhook-id": string;
                /** @description Signatures of Standard Webhooks 1.0, separated by spaces. */
                "webhook-signature": string;
                /** @description Unix seconds of the attempt. */
                "webhook-timestamp": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["PredictionEvent"];
            };
        };
        responses: {
            /** @description The event is delivered. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The endpoint is disabled. */
            410: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The attempt failed: a later attempt follows. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    onPredictionSucceeded: {
        parameters: {
            query?: never;
            header: {
                /** @description The id of the event, equal for all attempts. */
                "webhook-id": string;
                /** @description Signatures of Standard Webhooks 1.0, separated by spaces. */
                "webhook-signature": string;
                /** @description Unix seconds of the attempt. */
                "webhook-timestamp": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["PredictionEvent"];
            };
        };
        responses: {
            /** @description The event is delivered. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The endpoint is disabled. */
            410: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The attempt failed: a later attempt follows. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    onWebhookEndpointTest: {
        parameters: {
            query?: never;
            header: {
                /** @description The id of the event, equal for all attempts. */
                "webhook-id": string;
                /** @description Signatures of Standard Webhooks 1.0, separated by spaces. */
                "webhook-signature": string;
                /** @description Unix seconds of the attempt. */
                "webhook-timestamp": string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["EndpointEvent"];
            };
        };
        responses: {
            /** @description The event is delivered. */
            "2XX": {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The endpoint is disabled. */
            410: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The attempt failed: a later attempt follows. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
}
