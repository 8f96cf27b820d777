// What a worker without the SDK calls. Every reply, refusals included, carries `control` (control-state.ts).

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { HeadwayError } from '../../protocol/errors.ts'
import { isId } from '../../protocol/ids.ts'
import { CONFIRM_MS_MAX } from '../../protocol/limits.ts'
import { itemParams, type ItemParams, jobParams, type JobParams } from '../../protocol/schema/queries.ts'
import { registeredReply, unconfirmedReply, workerReply } from '../../protocol/schema/replies.ts'
import {
  heartbeatBody, type HeartbeatBody, itemBody, type ItemBody, progressBody, type ProgressBody, registerBody, type RegisterBody,
  stateBody, type StateBody
} from '../../protocol/schema/worker.ts'
import { jobView } from '../../protocol/view.ts'
import type { WorkerEvent } from '../../protocol/worker-events.ts'
import { identityOf } from '../guard.ts'
import { answerError, sendProblem, toHeadwayError } from '../problem.ts'
import type { Reach } from '../reach.ts'
import { type Control, NO_CONTROL, readControl } from './control-state.ts'
import { correlationOf, sendUnconfirmed, statusUrl } from './replies.ts'

/** The body was checked by its schema; the packer checks it again and drops what it does not know. */
type Given<T extends WorkerEvent['type']> = Extract<WorkerEvent, { type: T }>['data']

const config = { scope: 'jobs:write' } as const
const worker = { tags: ['worker'], response: { 200: workerReply, 202: unconfirmedReply } }

export function registerWorkerRoutes (app: FastifyInstance, { engine }: { engine: Reach }): void {
  /** @returns null when the reply has been sent */
  async function submit (reply: FastifyReply, event: WorkerEvent) {
    const result = await engine.submit(event, { timeout_ms: CONFIRM_MS_MAX })
    if (result.outcome === 'ok') {
      const { effect, state, rev, request_id: requestId } = result
      return { job_id: event.job, effect, rev, control: { state, request_id: requestId } satisfies Control }
    }
    if (result.outcome === 'unconfirmed') {
      sendUnconfirmed(reply, event.job, { control: NO_CONTROL })
    } else {
      const error = new HeadwayError(result.code, result.detail, { allowed: result.allowed })
      const { tenant, job } = event
      sendProblem(reply, error, { control: result.state === null ? NO_CONTROL : await readControl(engine, tenant, job, result.state) })
    }
    return null
  }

  /** What was refused before it came to a submission: a body that its schema or the parser does not take, and so on. */
  async function errorHandler (error: unknown, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { id = (request.body as { id?: unknown } | null | undefined)?.id } = request.params as { id?: unknown }
    const { identity } = request
    const { status } = toHeadwayError(error)
    // Who may not ask is told nothing, and Redis that does not answer is not asked again.
    const told = identity !== null && isId(id) && status !== 403 && status < 500
    return answerError(error, request, reply, { control: told ? await readControl(engine, identity.tenant_id, id) : NO_CONTROL })
  }

  function addressOf (request: FastifyRequest, job: string) {
    return { tenant: identityOf(request).tenant_id, job, cid: correlationOf(request) }
  }

  app.post<{ Body: RegisterBody }>('/v1/jobs', {
    config: { ...config, codes: ['job_exists', 'job_finished', 'event_too_large'] },
    errorHandler,
    schema: {
      ...worker,
      summary: 'Register a job',
      description: 'The same registration of a live job again has no effect (200); other values are refused.',
      body: registerBody,
      response: { 200: registeredReply, 201: registeredReply, 202: unconfirmedReply }
    }
  }, async (request, reply) => {
    const { id, ...data } = request.body
    const address = addressOf(request, id)
    const answer = await submit(reply, { ...address, type: 'job.register', data: data as Given<'job.register'> })
    if (answer === null) return reply
    // It is registered, whether it can be read back or not.
    const read = await engine.readJob(address.tenant, id).catch(() => null)
    return reply.code(answer.effect === 'applied' ? 201 : 200).header('location', statusUrl(id))
      .send({ ...answer, job: read === null ? null : jobView(read.job, read.registration, read.now_ms) })
  })

  app.post<{ Params: JobParams, Body: StateBody }>('/v1/jobs/:id/state', {
    config: { ...config, codes: ['unknown_job', 'invalid_transition', 'job_ended'] }, errorHandler, schema: { ...worker, summary: 'Ask for a state', params: jobParams, body: stateBody }
  }, async (request, reply) => {
    const data = request.body as Given<'job.state'>
    return await submit(reply, { ...addressOf(request, request.params.id), type: 'job.state', data }) ?? reply
  })

  app.post<{ Params: JobParams, Body: ProgressBody }>('/v1/jobs/:id/progress', {
    config: { ...config, codes: ['unknown_job', 'job_ended'] }, errorHandler, schema: { ...worker, summary: 'Report counters', params: jobParams, body: progressBody }
  }, async (request, reply) => {
    const data = request.body as Given<'job.progress'>
    return await submit(reply, { ...addressOf(request, request.params.id), type: 'job.progress', data }) ?? reply
  })

  app.post<{ Params: JobParams, Body: HeartbeatBody }>('/v1/jobs/:id/heartbeat', {
    config: { ...config, codes: ['unknown_job'] }, errorHandler, schema: { ...worker, summary: 'Give a sign of life, acknowledge a request', params: jobParams, body: heartbeatBody }
  }, async (request, reply) => {
    const data = request.body as Given<'job.heartbeat'>
    return await submit(reply, { ...addressOf(request, request.params.id), type: 'job.heartbeat', data }) ?? reply
  })

  app.put<{ Params: ItemParams, Body: ItemBody }>('/v1/jobs/:id/items/:item_id', {
    config: { ...config, codes: ['unknown_job', 'invalid_transition', 'job_ended', 'too_many_items', 'event_too_large'] }, errorHandler, schema: { ...worker, summary: 'Create or update an item', params: itemParams, body: itemBody }
  }, async (request, reply) => {
    const { id, item_id: itemId } = request.params
    if (request.body.id !== undefined && request.body.id !== itemId) {
      throw new HeadwayError('invalid_field', `The id of the body (${request.body.id}) is not that of the path (${itemId}).`)
    }
    const data = { ...request.body, id: itemId } as Given<'item.update'>
    return await submit(reply, { ...addressOf(request, id), type: 'item.update', data }) ?? reply
  })
}
