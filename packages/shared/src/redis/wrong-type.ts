/** Whether Redis refused a read because the key holds another type of value. */
export const isWrongType = (error: unknown): boolean => error instanceof Error && error.message.startsWith('WRONGTYPE');
