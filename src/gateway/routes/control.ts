// A user's pause, resume and cancel.

import { randomUUID } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { HeadwayError } from '../../protocol/errors.ts'
import { CONFIRM_MS_MAX } from '../../protocol/limits.ts'
import { controlBody, type ControlBody } from '../../protocol/schema/control.ts'
import { jobParams, type JobParams } from '../../protocol/schema/queries.ts'
import { controlReply, unconfirmedReply } from '../../protocol/schema/replies.ts'
import { identityOf } from '../guard.ts'
import type { Reach } from '../reach.ts'
import { correlationOf, sendUnconfirmed } from './replies.ts'

export function registerControlRoute (app: FastifyInstance, { engine }: { engine: Reach }): void {
  app.post<{ Params: JobParams, Body: ControlBody }>('/v1/jobs/:id/control', {
    config: { scope: 'jobs:control', codes: ['unknown_job', 'invalid_transition'] },
    schema: {
      tags: ['control'],
      summary: 'Pause, resume or cancel a job',
      description: 'Waits until it is known what came of it. Unknown fields are refused.',
      params: jobParams,
      body: controlBody,
      response: { 200: controlReply, 202: unconfirmedReply }
    }
  }, async (request, reply) => {
    const { id } = request.params
    const { action, reason = null } = request.body
    const result = await engine.submit({
      type: 'job.control',
      tenant: identityOf(request).tenant_id,
      job: id,
      cid: correlationOf(request),
      data: { action, reason }
    }, { request_id: randomUUID(), timeout_ms: CONFIRM_MS_MAX })
    if (result.outcome === 'unconfirmed') return sendUnconfirmed(reply, id)
    if (result.outcome === 'refused') throw new HeadwayError(result.code, result.detail, { allowed: result.allowed })
    const { effect, state, rev, request_id: requestId } = result
    return { job_id: id, action, effect, state, rev, request_id: requestId }
  })
}
