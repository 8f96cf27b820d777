// Every refusal over HTTP: RFC 9457 problem+json with the stable code of protocol/errors.ts.

import type { FastifyReply, FastifyRequest } from 'fastify'
import { correlationOf } from './routes/replies.ts'
import { type ErrorCode, ERRORS, HeadwayError } from '../protocol/errors.ts'

/** Seconds; a browser or worker that obeys it adds its own jitter. */
const RETRY_AFTER_S = 1

export interface Problem {
  type: string
  title: string
  status: number
  detail: string
  code: ErrorCode
  /** For invalid_transition: what would be allowed. */
  allowed?: readonly string[]
}

/** What Fastify refuses by itself, in our words. */
const FASTIFY_CODES: Record<string, ErrorCode> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'body_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'malformed_json',
  FST_ERR_BAD_URL: 'invalid_field',
  FST_ERR_MAX_PARAM_LENGTH: 'invalid_field'
}

/** Everyday things that are no fault: a client that left, a gateway that is full or stops. Counted, not logged. */
const EXPECTED: readonly ErrorCode[] = ['closed', 'not_ready', 'overloaded']

/** Whether it is worth a line in the log. */
export function isFault ({ status, code }: HeadwayError): boolean {
  return status >= 500 && !EXPECTED.includes(code)
}

/** @returns `error` as one of ours; what is not ours becomes `internal` and tells nothing of itself */
export function toHeadwayError (error: unknown): HeadwayError {
  if (error instanceof HeadwayError) return error
  const { code, message } = error as { code?: string, message?: string }
  const known = code === undefined ? undefined : FASTIFY_CODES[code]
  if (known !== undefined) return new HeadwayError(known, message ?? ERRORS[known].title, { cause: error })
  return new HeadwayError('internal', ERRORS.internal.title, { cause: error })
}

export function toProblem (error: HeadwayError): Problem {
  return {
    type: `urn:headway:error:${error.code}`,
    title: ERRORS[error.code].title,
    status: error.status,
    detail: error.message,
    code: error.code,
    ...(error.code === 'invalid_transition' ? { allowed: error.allowed } : {})
  }
}

/** @param extra further members of the body */
export function sendProblem (reply: FastifyReply, error: HeadwayError, extra: object = {}): FastifyReply {
  if (error.status === 503 || error.status === 429 || error.code === 'idempotency_conflict') reply.header('retry-after', RETRY_AFTER_S)
  if (error.status === 401) reply.header('www-authenticate', 'Bearer')
  if (error.status === 426) reply.header('upgrade', 'websocket')
  return reply.code(error.status)
    .header('content-type', 'application/problem+json; charset=utf-8')
    .header('cache-control', 'no-store')
    .send(JSON.stringify({ ...toProblem(error), ...extra }))
}

/**
 * For what a route throws: logged when it is not the caller's fault.
 * @param extra further members of the body
 */
export function answerError (error: unknown, request: FastifyRequest, reply: FastifyReply, extra: object = {}): FastifyReply {
  const known = toHeadwayError(error)
  if (isFault(known)) {
    const { method, routeOptions: { url: route } } = request
    const fields = { event: 'request_failed', code: known.code, err: error, method, route, correlation_id: correlationOf(request) }
    request.log[known.temporary ? 'warn' : 'error'](fields, 'a request failed')
  }
  return sendProblem(reply, known, extra)
}
