/** All that a model's handler.ts imports. `@millrace/shared/handler`, the name in 0.1.0, is deprecated and names the same module. */
export * from '@millrace/shared/handler';
