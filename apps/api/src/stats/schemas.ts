/** Parameters of the routes of the history and of the workers. */
import { Type } from 'typebox';
import { listParameters } from '../http/list.ts';

const closed = { additionalProperties: false } as const;

export const STEP_MAX_S = 2_678_400;
/** The most steps of a list. */
export const STEPS_MAX = 1_500;

const range = {
  from: Type.Optional(
    Type.String({ maxLength: 40, description: 'The beginning, RFC 3339. By default an hour before `to`.' }),
  ),
  to: Type.Optional(Type.String({ maxLength: 40, description: 'The end, RFC 3339. By default the present.' })),
  step: Type.Optional(
    Type.Integer({
      minimum: 60,
      maximum: STEP_MAX_S,
      multipleOf: 60,
      description:
        'Seconds of one step, a multiple of 60. By default the list has at most 200 steps. A list has at most 1,500 steps. ' +
        'More than 48 hours need whole hours: a multiple of 3600.',
    }),
  ),
};

export const StatsQuery = Type.Object(
  {
    model: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 200,
        description: 'Only predictions of this model; otherwise of all models.',
      }),
    ),
    ...range,
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        default: STEPS_MAX,
        'x-cut-at': STEPS_MAX,
        description: 'The most steps of a page. By default all steps.',
      }),
    ),
    cursor: listParameters.cursor,
  },
  closed,
);

export const ModelStatsQuery = Type.Object({ ...range, ...listParameters }, closed);

export const WorkersQuery = Type.Object(listParameters, closed);

export const WorkerParams = Type.Object({
  id: Type.String({ minLength: 1, maxLength: 64, description: 'Id of a worker.' }),
});
