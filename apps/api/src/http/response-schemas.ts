/** The parts of responses that several folders use: times, links, nullable values, pages and problems. */
import { ERRORS } from '@millrace/shared/error-table';
import { type TSchema, Type } from 'typebox';

export const Time = Type.String({ format: 'date-time' });
export const Path = Type.String({ description: 'A path on this server; a URL if `PUBLIC_URL` is set.' });

export const orNull = (schema: TSchema, description?: string): TSchema =>
  Type.Union([schema, Type.Null()], description === undefined ? {} : { description });

/**
 * A text whose known values are listed. Later versions can add values, so a client must accept every text. The schema has no `enum`, because
 * many generators write code that fails on a value that the `enum` lacks.
 */
export const extensible = (values: readonly string[], options: { $id?: string; description?: string } = {}) =>
  Type.String({ ...options, 'x-extensible-enum': [...values] });

/** The form of every list. */
export const listOf = ($id: string, item: TSchema) =>
  Type.Object(
    {
      data: Type.Array(item),
      next: orNull(Type.String(), '`cursor` of the next page; null on the last page.'),
      has_more: Type.Boolean(),
    },
    { $id },
  );

const Fault = Type.Object(
  {
    in: extensible(['body', 'query', 'path', 'header'], { description: 'The part of the request that has the fault.' }),
    pointer: Type.Optional(Type.String({ description: 'In the body: JSON pointer of the value.' })),
    name: Type.Optional(Type.String({ description: 'In other parts: the name of the parameter or header.' })),
    message: Type.String(),
    expected: Type.Optional(Type.String()),
    got: Type.Optional(Type.String()),
    suggestions: Type.Optional(Type.Array(Type.String(), { description: 'Similar names.' })),
  },
  { $id: 'Fault', description: 'One fault: its place, the expected form and the received value.' },
);

const problemFields = {
  type: Type.String({ description: '`urn:millrace:error:` and the code.' }),
  title: Type.String(),
  status: Type.Integer({ minimum: 400, maximum: 599 }),
  code: extensible(Object.keys(ERRORS), {
    description: 'Stable; docs/errors.md lists all codes. Extensible: treat an unknown code by its HTTP status.',
  }),
  detail: Type.String(),
  errors: Type.Optional(Type.Array(Fault)),
  suggestions: Type.Optional(Type.Array(Type.String())),
};

export const PredictionError = Type.Object(
  { ...problemFields, retryable: Type.Optional(Type.Boolean({ description: 'Only in predictions of 0.1.0.' })) },
  { $id: 'PredictionError', description: 'The reason why a prediction failed, expired or was canceled.' },
);

export const Problem = Type.Object(
  {
    ...problemFields,
    retryable: Type.Boolean({ description: 'Whether the same request may succeed later.' }),
    prediction_id: Type.Optional(
      Type.String({
        description: 'The prediction that the error concerns, or that may exist although the request failed.',
      }),
    ),
    trace_id: Type.Optional(
      Type.String({ description: 'The id of the trace of the request, where the server has traces.' }),
    ),
    request_id: Type.Optional(Type.String({ description: 'The id of the request in the log of the server.' })),
  },
  { $id: 'Problem', description: 'RFC 9457 problem details.' },
);
