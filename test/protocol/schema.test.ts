// Schemas of what HTTP and sockets take in: unknown fields are refused on control calls and let through on worker events.

import t from 'tap'
import type { TSchema } from 'typebox'
import { controlBody, FRAMES } from '../../src/protocol/schema/control.ts'
import { itemsQuery, jobParams, jobsQuery, socketQuery } from '../../src/protocol/schema/queries.ts'
import { createValidator, validatorCompiler } from '../../src/protocol/schema/validate.ts'
import { eventBody, eventsBody, heartbeatBody, itemBody, progressBody, registerBody, stateBody } from '../../src/protocol/schema/worker.ts'

/** The reason of a refusal, or the value. */
function judge (schema: TSchema, value: unknown, convert = false): unknown {
  const result = createValidator(schema, { convert })(value)
  return 'error' in result ? result.error.message : result.value
}

t.test('control calls refuse what they do not know', async (t) => {
  t.strictSame(judge(controlBody, { action: 'pause', reason: 'lunch' }), { action: 'pause', reason: 'lunch' })
  t.match(judge(controlBody, { action: 'pause', reson: 'lunch' }), /unknown fields: reson/)
  t.match(judge(controlBody, { action: 'stop' }), /action must be one of pause, resume, cancel/)
  t.match(judge(controlBody, {}), /misses action/)
  t.match(judge(controlBody, null), /must be of type object/)
})

t.test('worker bodies let unknown fields through', async (t) => {
  for (const [schema, value] of [
    [registerBody, { id: 'j', items_total: null, title: null, metadata: { a: 1 }, colour: 'red' }],
    [stateBody, { state: 'rate_limited', retry_at: '2026-11-23T12:00:00', colour: 'red' }],
    [progressBody, { items_completed: 25, percent: 3 }],
    [itemBody, { id: 'i', state: 'failed', error: { deep: [1] }, result: null, status: 'x' }],
    [heartbeatBody, { ack: 'r', load: 1 }],
    [eventBody, { type: 'item.update', job: 'j', data: { id: 'i' }, more: 1 }]
  ] as const) t.strictSame(judge(schema, value), value)
})

t.test('faults are named, all at once', async (t) => {
  const message = judge(registerBody, { items_total: -1, state: 'paused', item_kind: 'job', metadata: [] })
  for (const part of [/misses id/, /items_total must be >= 0/, /state must be one of pending, running/, /item_kind/, /metadata/]) t.match(message, part)
  t.match(judge(progressBody, { items_completed: '5' }), /items_completed must be of type integer/, 'a body is not converted')
  t.match(judge(progressBody, { items_completed: 1.5 }), /items_completed/)
  t.match(judge(itemBody, { percent_complete: 101, attempt: 0, weight: Infinity }), /attempt.*percent_complete.*weight/)
  t.match(judge(eventsBody, []), /fewer than 1/)
  t.match(judge(eventsBody, Array(1_001).fill({})), /1000/)
  t.match(judge(eventBody, { type: 'job.control', job: 'j', data: {} }), /type must be one of/, 'control has its own route')
})

t.test('paths and queries are converted', async (t) => {
  t.strictSame(judge(jobsQuery, { limit: '7', state: 'running', utm: 'x' }, true), { limit: 7, state: 'running', utm: 'x' })
  t.match(judge(jobsQuery, { limit: '501' }, true), /limit must be <= 500/)
  t.match(judge(jobsQuery, { limit: 'many' }, true), /limit/)
  t.match(judge(itemsQuery, { state: 'running' }, true), /state must be one of pending, processing/)
  t.strictSame(judge(jobParams, { id: '123' }, true), { id: '123' }, 'an id of digits stays text')
  t.match(judge(jobParams, { id: 'a/b' }, true), /id must match/)
  t.strictSame(judge(socketQuery, { job_id: 'j', wait_ms: '60000', since: '1.2', token: 'x' }, true), { job_id: 'j', wait_ms: 60_000, since: '1.2', token: 'x' })
  t.match(judge(socketQuery, { wait_ms: '60001' }, true), /wait_ms/)
})

t.test('frames of a socket', async (t) => {
  t.strictSame(judge(FRAMES.subscribe, { action: 'subscribe', job_id: 'j', since: '1.0', wait_ms: 5 }), { action: 'subscribe', job_id: 'j', since: '1.0', wait_ms: 5 })
  t.match(judge(FRAMES.subscribe, { action: 'subscribe', job_id: 'j', since: 'yesterday' }), /since/)
  t.match(judge(FRAMES.cancel, { action: 'cancel', job_id: 'j', tenant: 'other' }), /unknown fields: tenant/)
  t.match(judge(FRAMES.ping, { action: 'ping', id: 'x'.repeat(129) }), /id/)
})

t.test('Fastify\'s compiler converts everything but bodies', async (t) => {
  t.strictSame(validatorCompiler({ schema: jobsQuery, httpPart: 'querystring' })({ limit: '7' }), { value: { limit: 7 } })
  t.match(validatorCompiler({ schema: progressBody, httpPart: 'body' })({ items_total: '7' }), { error: { code: 'invalid_field', status: 400 } })
})
