// Parameters in paths and query strings. Unknown query parameters are ignored: proxies and pages add their own.

import Type, { type Static } from 'typebox'
import { ITEM_STATES, JOB_STATES } from '../states.ts'
import { cursor, id, limit, minIntervalMs, open, since, waitMs, word } from './parts.ts'

export const jobParams = open({ id: id('The job.') }, 'Path of a job.')
export type JobParams = Static<typeof jobParams>

export const itemParams = open({ id: id('The job.'), item_id: id('The item.') }, 'Path of an item.')
export type ItemParams = Static<typeof itemParams>

/** GET /v1/jobs */
export const jobsQuery = open({
  state: Type.Optional(word(JOB_STATES, 'Only jobs in this state.')),
  archived: Type.Optional(Type.Boolean({ description: 'true = with those that have left Redis; false, the default, = without.' })),
  cursor: cursor(),
  limit: limit()
}, 'A page of jobs, newest first.')
export type JobsQuery = Static<typeof jobsQuery>

/** GET /v1/jobs/:id/items */
export const itemsQuery = open({
  state: Type.Optional(word(ITEM_STATES, 'Only items in this state.')), cursor: cursor(), limit: limit()
}, 'A page of items, in the order of first sight.')
export type ItemsQuery = Static<typeof itemsQuery>

/** GET /v1/jobs/:id/timeline */
export const timelineQuery = open({ cursor: cursor(), limit: limit() }, 'A page of logged events, oldest first.')
export type TimelineQuery = Static<typeof timelineQuery>

const token = Type.Optional(Type.String({ minLength: 1, maxLength: 16_384, description: 'JSON Web Token.' }))
const ticket = Type.Optional(Type.String({ minLength: 1, maxLength: 512, description: 'Single-use ticket.' }))

/** GET / and /v1/ws, upgraded. */
export const socketQuery = open({
  job_id: Type.Optional(id('Watched from the start.')), token, ticket, since: since(), wait_ms: waitMs(), min_interval_ms: minIntervalMs()
}, 'A WebSocket.')
export type SocketQuery = Static<typeof socketQuery>

/** GET /v1/jobs/:id/events */
export const eventsQuery = open({
  token, ticket, since: since(), wait_ms: waitMs(), min_interval_ms: minIntervalMs()
}, 'Server-sent events.')
export type EventsQuery = Static<typeof eventsQuery>

/** GET /v1/events */
export const tenantEventsQuery = open({ token, ticket }, 'Server-sent events of all jobs.')
export type TenantEventsQuery = Static<typeof tenantEventsQuery>
