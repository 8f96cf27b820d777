// What users send: control calls by HTTP and frames on a socket. Unknown fields are refused: a misspelt `reason`
// or a `tenant` that looks as if it had an effect must not pass in silence.

import Type, { type Static } from 'typebox'
import { CONTROL_ACTIONS } from '../states.ts'
import { id, minIntervalMs, since, strict, text, waitMs, word } from './parts.ts'

/** POST /v1/jobs/:id/control */
export const controlBody = strict({
  action: word(CONTROL_ACTIONS, 'pause, resume or cancel.'),
  reason: text('Why; cut to 512 bytes.')
}, 'A user\'s request to the job.')
export type ControlBody = Static<typeof controlBody>

const requestId = Type.Optional(Type.String({ maxLength: 128, description: 'Comes back in the ack or error.' }))
const jobId = id('The job.')

/** Frames by their action. */
export const FRAMES = {
  subscribe: strict({
    action: Type.Literal('subscribe'), job_id: jobId, since: since(), wait_ms: waitMs(), min_interval_ms: minIntervalMs(), id: requestId
  }, 'Watch a job.'),
  subscribe_tenant: strict({ action: Type.Literal('subscribe_tenant'), id: requestId }, 'Watch every job of the tenant.'),
  unsubscribe_tenant: strict({ action: Type.Literal('unsubscribe_tenant'), id: requestId }, 'Watch them no longer.'),
  unsubscribe: strict({ action: Type.Literal('unsubscribe'), job_id: jobId, id: requestId }, 'Watch it no longer.'),
  pause: strict({ action: Type.Literal('pause'), job_id: jobId, reason: text('Why.'), id: requestId }, 'Pause a job.'),
  resume: strict({ action: Type.Literal('resume'), job_id: jobId, reason: text('Why.'), id: requestId }, 'Resume a job.'),
  cancel: strict({ action: Type.Literal('cancel'), job_id: jobId, reason: text('Why.'), id: requestId }, 'Cancel a job.'),
  authenticate: strict({
    action: Type.Literal('authenticate'), token: Type.String({ minLength: 1, maxLength: 16_384 }), id: requestId
  }, 'Give or refresh the token.'),
  ping: strict({ action: Type.Literal('ping'), id: requestId }, 'Answered by pong.')
} as const
