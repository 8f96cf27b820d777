// Bodies that workers send: the data of their events. Unknown fields are dropped, so that a newer worker is understood.

import Type, { type Static } from 'typebox'
import { EVENTS_PER_POST_MAX, METADATA_BYTES_MAX, NUMBER_MAX } from '../limits.ts'
import { ITEM_STATES, JOB_STATES } from '../states.ts'
import { flag, id, instant, itemKind, number, open, text, whole, word } from './parts.ts'

const counters = {
  items_completed: whole('Completed items.'),
  items_failed: whole('Failed items.'),
  items_skipped: whole('Skipped items.'),
  items_canceled: whole('Canceled items.')
}

/** POST /v1/jobs */
export const registerBody = open({
  id: id('The job; unique within the tenant.'),
  items_total: whole('Items in all, as far as known.'),
  state: Type.Optional(word(['pending', 'running'], 'Default pending.')),
  ...counters,
  rate_limited: flag('Sets the condition at once.'),
  processing_deadline_ms: whole('Processing time allowed; absent = no deadline.'),
  auto_complete: flag('Complete by itself when every item is settled.'),
  fail_on_deadline: flag('Fail when the deadline is exceeded.'),
  created_at: instant('Default now.'),
  title: text('For people.'),
  job_kind: text('Kind of work, for whoever reads the history; estimates do not use it.'),
  item_kind: Type.Optional(itemKind()),
  concurrency: whole('Declared parallelism of the worker.'),
  metadata: Type.Optional(Type.Unsafe<Record<string, unknown> | null>({
    type: ['object', 'null'], description: `Any object of at most ${METADATA_BYTES_MAX} bytes of JSON.`
  }))
}, 'Registers a job. The same registration of a live job again has no effect.')
export type RegisterBody = Static<typeof registerBody>

/** POST /v1/jobs/:id/state */
export const stateBody = open({
  state: word([...JOB_STATES, 'rate_limited'], 'Where the job shall go; rate_limited sets the condition and leaves the state.'),
  reason: text('Why.'),
  resume: flag('Lets running undo a pause.'),
  retry_at: instant('With rate_limited: when it ends; default in 60 s.')
}, 'A worker\'s request for a state.')
export type StateBody = Static<typeof stateBody>

/** POST /v1/jobs/:id/progress */
export const progressBody = open({
  items_total: whole('Items in all.'),
  ...counters,
  rate_limited: flag('Sets or clears the condition.'),
  retry_at: instant('When the rate limit ends.')
}, 'Absolute counters; the greater of these and what items say is shown.')
export type ProgressBody = Static<typeof progressBody>

const item = {
  state: Type.Optional(word(ITEM_STATES, 'Default the current one; pending for a new item.')),
  attempt: whole('Default the current one; the next for processing after failed.', 1),
  retryable: flag('With failed: the item will be tried again.'),
  percent_complete: number('Of this item.', 0, 100),
  duration_ms: number('Of this attempt; default measured from processing to settled.', 0, NUMBER_MAX),
  created_at: instant('Default now.'),
  updated_at: instant('Default now.'),
  row_index: whole('Place in the list.'),
  weight: number('Share of the work.', -NUMBER_MAX, NUMBER_MAX),
  title: text('For people.'),
  kind: text('Groups items for estimates.'),
  worker: text('Who works on it.'),
  error: Type.Optional(Type.Unknown({ description: 'Any JSON; cut beyond 2,048 bytes.' })),
  result: Type.Optional(Type.Unknown({ description: 'Any JSON; cut beyond 2,048 bytes.' }))
}

/** PUT /v1/jobs/:id/items/:item_id. An id in the body must equal the one of the path. */
export const itemBody = open({ id: Type.Optional(id('The item.')), ...item }, 'Creates or updates an item.')
export type ItemBody = Static<typeof itemBody>

/** The data of job.heartbeat. */
export const heartbeatBody = open({
  ack: text('Id of the control request that the worker has seen and obeys.'),
  worker: text('Who.')
}, 'A sign of life.')
export type HeartbeatBody = Static<typeof heartbeatBody>

/** Without job.control: that is a user's request and has its own route. */
export const EVENT_TYPES = ['job.register', 'job.state', 'job.progress', 'job.heartbeat', 'item.update'] as const

/** One event of POST /v1/events; its data is checked by itself, so that one bad event refuses only itself. */
export const eventBody = open({
  type: word(EVENT_TYPES, 'Type of the event.'),
  tenant: Type.Optional(id('If given, the token\'s tenant.')),
  job: id('The job.'),
  cid: text('Correlation id.'),
  data: Type.Optional(Type.Record(Type.String(), Type.Unknown(), {
    description: 'As the body of the type\'s own route; an item update has its id here. Absent = {}.'
  }))
}, 'A worker event.')
export type EventBody = Static<typeof eventBody>

/** POST /v1/events, as a JSON array. */
export const eventsBody = Type.Array(Type.Unknown(), {
  minItems: 1, maxItems: EVENTS_PER_POST_MAX, description: 'Worker events; each is accepted or rejected by itself.'
})
