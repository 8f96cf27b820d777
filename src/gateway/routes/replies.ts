// Pieces of replies that several routes share.

import type { FastifyReply, FastifyRequest } from 'fastify'
import { isId } from '../../protocol/ids.ts'
import { traceparentOf } from '../../tracing/trace.ts'

/** Where the state of a job can be read. */
export function statusUrl (jobId: string): string {
  return `/v1/jobs/${jobId}`
}

/** Stored, but nobody said in time what came of it: the job tells. */
export function sendUnconfirmed (reply: FastifyReply, jobId: string, extra: Record<string, unknown> = {}): FastifyReply {
  return reply.code(202).header('location', statusUrl(jobId))
    .send({ job_id: jobId, effect: 'unconfirmed', status_url: statusUrl(jobId), ...extra })
}

/** @returns the client's X-Correlation-Id when it is an identifier, else that of a traced request; absent = made from epoch and seq */
export function correlationOf (request: FastifyRequest): string | undefined {
  const given = request.headers['x-correlation-id']
  return isId(given) ? given : traceparentOf(request.span ?? undefined)
}
