// POST /v1/events: up to 1,000 worker events of any jobs in one request, as a JSON array or as lines of JSON. Each is judged by
// itself: one that is bad, or refused by its job, is told by its index and keeps nothing else back.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { BatchResult } from '../../engine/engine.ts'
import { type ErrorCode, HeadwayError } from '../../protocol/errors.ts'
import { isId } from '../../protocol/ids.ts'
import { CONFIRM_MS_MAX, JSON_DEPTH_MAX, REJECTION_BYTES_MAX } from '../../protocol/limits.ts'
import { batchReply } from '../../protocol/schema/replies.ts'
import { createValidator } from '../../protocol/schema/validate.ts'
import { type EventBody, eventBody, eventsBody } from '../../protocol/schema/worker.ts'
import { cutText } from '../../protocol/text.ts'
import type { WorkerEvent } from '../../protocol/worker-events.ts'
import { identityOf } from '../guard.ts'
import { parseJson } from '../json.ts'
import { answerError } from '../problem.ts'
import type { Quota } from '../quotas.ts'
import type { Reach } from '../reach.ts'
import { type Control, NO_CONTROL, readControl } from './control-state.ts'
import { correlationOf, statusUrl } from './replies.ts'

interface Rejection { index: number, code: ErrorCode, detail: string, allowed?: string[] }

/** Array and event come on top of the data's own levels. */
const DEPTH_MAX = JSON_DEPTH_MAX + 2
const LINES = ['application/x-ndjson', 'application/ndjson', 'application/jsonl']
const NEWLINE = 0x0a

export interface BatchRouteOptions { engine: Reach, events: Quota }

export async function registerBatchRoute (app: FastifyInstance, { engine, events: quota }: BatchRouteOptions): Promise<void> {
  const validate = createValidator(eventBody)

  function read (given: unknown, tenant: string, cid: string | undefined): WorkerEvent | HeadwayError {
    if (given instanceof HeadwayError) return given // a line that is no JSON
    const checked = validate(given)
    if ('error' in checked) return checked.error
    const { type, tenant: its = tenant, job, cid: own, data = {} } = checked.value as EventBody
    if (its !== tenant) return new HeadwayError('forbidden', `The event is of tenant ${its}, the token of ${tenant}; leave the tenant out.`)
    return { type, tenant, job, cid: own ?? cid, data } as WorkerEvent // its data is checked when it is packed
  }

  async function answer (request: FastifyRequest<{ Body: unknown[] }>, reply: FastifyReply) {
    const { tenant_id: tenant } = identityOf(request)
    const cid = correlationOf(request)
    const { body } = request
    if (body.length > 1) quota.take(tenant, body.length - 1) // the guard has taken one
    const given = body.map(one => read(one, tenant, cid))
    const sound = given.filter((one): one is WorkerEvent => !(one instanceof HeadwayError))
    const results = await engine.submitAll(sound, { timeout_ms: CONFIRM_MS_MAX })
    if (results.length > 0 && results.every(({ outcome }) => outcome === 'failed')) {
      throw new HeadwayError('redis_unavailable', 'Redis does not answer; repeat the request in a moment.', { cause: results[0] })
    }
    const rejected: Rejection[] = []
    const unconfirmed: { index: number, job_id: string, status_url: string }[] = []
    const jobs = new Map<string, Control | null>()
    let at = 0
    for (const [index, one] of given.entries()) {
      if (one instanceof HeadwayError) {
        rejected.push(rejection(index, one.code, one.message))
        continue
      }
      const result = results[at++] as BatchResult
      if (result.outcome === 'ok') jobs.set(one.job, { state: result.state, request_id: result.request_id })
      else if (!jobs.has(one.job)) jobs.set(one.job, null)
      if (result.outcome === 'refused') rejected.push(rejection(index, result.code, result.detail, result.allowed))
      if (result.outcome === 'failed') rejected.push(rejection(index, 'redis_unavailable', 'Redis did not answer; it may be stored or not. Send it again.'))
      if (result.outcome === 'unconfirmed') unconfirmed.push({ index, job_id: one.job, status_url: statusUrl(one.job) })
    }
    return reply.code(unconfirmed.length > 0 ? 202 : 200).send({
      accepted: given.length - rejected.length,
      rejected,
      ...(unconfirmed.length > 0 ? { unconfirmed } : {}),
      control: await controlOf(tenant, jobs),
      jobs: Object.fromEntries([...jobs].filter(([, control]) => control !== null))
    })
  }

  /** Of the one job that the events are about. */
  async function controlOf (tenant: string, jobs: ReadonlyMap<string, Control | null>): Promise<Control> {
    const [first, ...others] = jobs
    if (first === undefined || others.length > 0) return NO_CONTROL
    const [id, control] = first
    return control ?? (isId(id) ? await readControl(engine, tenant, id) : NO_CONTROL)
  }

  // In a scope of its own: lines of JSON are taken here only.
  await app.register(async scope => {
    scope.removeContentTypeParser('application/json')
    scope.addContentTypeParser('application/json', { parseAs: 'buffer' }, async (_: FastifyRequest, body: Buffer) => parseJson(body, DEPTH_MAX))
    scope.addContentTypeParser(LINES, { parseAs: 'buffer' }, async (_: FastifyRequest, body: Buffer) => linesOf(body))
    scope.post<{ Body: unknown[] }>('/v1/events', {
      config: { scope: 'jobs:write' },
      schema: {
        tags: ['worker'],
        summary: 'Send up to 1,000 worker events at once',
        description: 'A JSON array, or lines of JSON (application/x-ndjson), of any jobs. Events of a job take effect in their order. Each is judged by itself.',
        consumes: ['application/json', LINES[0] ?? ''],
        body: eventsBody,
        response: { 200: batchReply, 202: batchReply }
      },
      errorHandler: (error, request, reply) => answerError(error, request, reply, { control: NO_CONTROL })
    }, answer)
  })
}

function rejection (index: number, code: ErrorCode, detail: string, allowed: readonly string[] = []): Rejection {
  return { index, code, detail: cutText(detail, REJECTION_BYTES_MAX), ...(code === 'invalid_transition' ? { allowed: [...allowed] } : {}) }
}

/** Empty lines are none. A line that is no JSON becomes its error, for its index. */
function linesOf (body: Buffer): unknown[] {
  const lines: unknown[] = []
  for (let from = 0; from < body.length;) {
    const end = body.indexOf(NEWLINE, from)
    const line = body.subarray(from, end === -1 ? body.length : end)
    from += line.length + 1
    if (line.every(byte => byte <= 0x20)) continue
    try {
      lines.push(parseJson(line, DEPTH_MAX))
    } catch (error) {
      if (!(error instanceof HeadwayError)) throw error
      lines.push(error)
    }
  }
  return lines
}
