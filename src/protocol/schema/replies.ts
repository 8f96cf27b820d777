// What the HTTP interface answers, for its description (/openapi.json); tests hold real answers against it. Answers may get further
// fields in v1: readers ignore what they do not know.

import Type, { type TSchema } from 'typebox'
import { CONTROL_ACTIONS, ITEM_STATES, JOB_STATES } from '../states.ts'
import { id, open, word } from './parts.ts'

const or = (type: 'string' | 'integer' | 'number' | 'object', description: string) => Type.Unsafe<unknown>({ type: [type, 'null'], description })
const count = (description: string) => Type.Integer({ minimum: 0, description })
const percent = (description: string) => Type.Number({ minimum: 0, maximum: 100, description })
const truth = (description: string) => Type.Boolean({ description })
const time = (description: string) => Type.String({ format: 'date-time', description })
const any = (description: string) => Type.Unknown({ description })

const archived = Type.Optional(Type.Literal(true, { description: 'It has left Redis; this is what the database keeps of it.' }))

const metrics = {
  items_total: count('As declared; at least what is settled.'),
  items_completed: count('Completed items.'),
  items_failed: count('Failed items, those that will be tried again included.'),
  items_skipped: count('Skipped items.'),
  items_canceled: count('Canceled items.'),
  items_pending: count('Not settled yet; those in processing included.'),
  items_processing: count('In processing.'),
  percent_complete: percent('(completed + skipped) / total.'),
  percent_in_progress: percent('The same, items in processing by their own percent included.'),
  time_to_start_ms: or('integer', 'From creation to the first running; null before.'),
  time_processing_ms: count('Pauses do not count.'),
  average_duration_ms_per_item: or('number', 'Recent items count more; null without one.'),
  throughput_per_min: or('number', 'Items a minute. Falls while nothing is settled, 0 while nobody works, of the whole run after its end; null when nothing is known.'),
  eta_ms: or('number', 'What remains; null when nothing is known, 0 when nothing remains.'),
  eta_low_ms: or('number', 'Lower end.'),
  eta_high_ms: or('number', 'Upper end.'),
  eta_confidence: Type.Number({ minimum: 0, maximum: 1, description: '0 when nothing is known.' }),
  eta_reason: Type.String({ description: 'estimated, silent, stalled, no_samples, nothing_remains, paused or rate_limited.' }),
  finish_at: or('string', 'Expected end.'),
  rate_limited: truth('The worker is being rate limited.'),
  retry_at: or('string', 'When that ends.'),
  stalled: truth('The worker has sent heartbeats and then nothing for a while.'),
  processing_deadline_ms: or('integer', 'Processing time allowed; null = no deadline.'),
  deadline_exceeded: truth('It is used up.'),
  deadline_at_risk: truth('It will be, by the estimate.')
}

export const jobReply = open({
  id: id('The job.'),
  tenant_id: id('Whose.'),
  title: or('string', 'For people.'),
  job_kind: or('string', 'Kind of work, for whoever reads the history.'),
  item_kind: Type.String({ description: 'Prefix of its item events.' }),
  state: word(JOB_STATES, 'State.'),
  reason: or('string', 'Of the last change of state.'),
  epoch: count('Grows when a history cannot be continued.'),
  seq: count('Of the last logged event; 0 = none.'),
  rev: count('(epoch, rev) orders any two states.'),
  concurrency: or('integer', 'Declared parallelism.'),
  auto_complete: truth('Completes by itself.'),
  fail_on_deadline: truth('Fails at its deadline.'),
  metadata: or('object', 'As registered.'),
  created_at: time('Registered.'),
  started_at: or('string', 'First running.'),
  updated_at: time('Last visible change.'),
  ended_at: or('string', 'End.'),
  control: open({
    request_id: or('string', 'The open request; null = none.'),
    action: Type.Unsafe<unknown>({ enum: [...CONTROL_ACTIONS, null], description: 'The last one asked for.' }),
    acknowledged: truth('By the worker.')
  }, 'A user\'s request.'),
  archived,
  ...metrics
}, 'A job with all its metrics.', 'Job')

export const itemReply = open({
  id: id('The item.'),
  title: or('string', 'For people.'),
  state: word(ITEM_STATES, 'State.'),
  row_index: or('integer', 'Place in the list.'),
  percent_complete: percent('Of this item.'),
  attempt: Type.Integer({ minimum: 1, description: '1 = the first.' }),
  retryable: truth('Failed, and will be tried again.'),
  created_at: time('First seen.'),
  updated_at: time('Last changed.'),
  duration_ms: or('number', 'Of the attempt.'),
  weight: or('number', 'Share of the work.'),
  kind: or('string', 'Groups items.'),
  worker: or('string', 'Who.'),
  error: any('Any JSON.'),
  result: any('Any JSON.'),
  truncated: truth('A text was cut to its limit.')
}, 'An item.', 'Item')

export const messageReply = open({
  type: Type.String({ description: 'job.state_changed, video.completed, …' }),
  ts: time('Of what caused it.'),
  correlation_id: Type.String({ description: 'Of what caused it.' }),
  job_id: id('The job.'),
  seq: count('Grows by one an event.'),
  rev: count('Of the job behind it.'),
  data: open({}, 'By type; see docs/protocol.md.')
}, 'A logged event, as clients got it.', 'Event')

/** @param more fields beside the rows */
export const page = (row: TSchema, more: Record<string, TSchema> = {}) => open({
  data: Type.Array(row),
  next_cursor: or('string', 'For the next page; null = this was the last.'),
  ...more
}, 'A page; it may be short, even empty, and have a next one.')

export const itemPage = page(itemReply, { archived })

export const timelinePage = page(messageReply, {
  truncated: truth('The log does not reach back to the position: this begins with the oldest event kept.'), archived
})

const control = open({
  state: Type.Unsafe<unknown>({ enum: [...JOB_STATES, null], description: 'Of the job; null = not known, or not told.' }),
  request_id: or('string', 'Of the user\'s open request, to be acknowledged; null = none.')
}, 'What the user wants of the job.', 'Control')

const effect = word(['applied', 'repeat', 'ignored'], 'applied; repeat = was so already; ignored = accepted without effect.')

export const workerReply = open({ job_id: id('The job.'), effect, rev: count('Of the job behind it.'), control }, 'What came of it.', 'WorkerReply')

export const registeredReply = open({
  job_id: id('The job.'), effect, rev: count('Of the job behind it.'), control, job: Type.Union([jobReply, Type.Null()])
}, 'What came of it, and the job as it stands.')

export const controlReply = open({
  job_id: id('The job.'),
  action: word(CONTROL_ACTIONS, 'As asked.'),
  effect,
  state: word(JOB_STATES, 'Of the job behind it.'),
  rev: count('Of the job behind it.'),
  request_id: or('string', 'Open until a worker acknowledges it; null = nothing to wait for.')
}, 'What came of it.')

export const unconfirmedReply = open({
  job_id: id('The job.'),
  effect: Type.Literal('unconfirmed'),
  status_url: Type.String({ description: 'The job, which will tell.' })
}, 'Stored, and it will take effect; nobody said in time what came of it. Do not send it again.', 'Unconfirmed')

const rejection = open({
  index: count('Of the event, from 0.'),
  code: Type.String({ description: 'As in problems.' }),
  detail: Type.String({ description: 'What is wrong, and what to do.' }),
  allowed: Type.Optional(Type.Array(Type.String(), { description: 'For invalid_transition.' }))
}, 'An event that had no effect.')

export const batchReply = open({
  accepted: count('Events that were taken, repeats among them.'),
  rejected: Type.Array(rejection),
  unconfirmed: Type.Optional(Type.Array(open({ index: count('Of the event.'), job_id: id('The job.'), status_url: Type.String() }, 'Stored, effect not known yet.'))),
  control,
  jobs: Type.Record(Type.String(), control, { description: 'By job, as far as known.' })
}, 'Each event is judged by itself. `control` is that of the job when all are about one.')

export const ticketReply = open({
  ticket: Type.String({ description: 'For ?ticket=, once.' }),
  expires_in_ms: count('How long it is good.')
}, 'A single-use ticket.')

export const statusReply = open({ status: Type.String({ description: 'ok, degraded, deaf, starting or stopping.' }) }, 'A probe.', 'Status')

export const problemReply = open({
  type: Type.String({ description: 'urn:headway:error:<code>' }),
  title: Type.String({ description: 'Of the code.' }),
  status: Type.Integer({ description: 'As in the status line.' }),
  detail: Type.String({ description: 'What is wrong here, and what to do.' }),
  code: Type.String({ description: 'Stable.' }),
  allowed: Type.Optional(Type.Array(Type.String(), { description: 'For invalid_transition: where it can go.' })),
  control: Type.Optional(control)
}, 'Why not (RFC 9457).', 'Problem')
