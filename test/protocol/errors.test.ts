import t from 'tap'
import { CLOSE_CODES, ERRORS, HeadwayError, isErrorCode } from '../../src/protocol/errors.ts'

t.test('an error has the status and the temporary flag of its code, and keeps its cause', async (t) => {
  const cause = new Error('connection refused')
  const error = new HeadwayError('redis_unavailable', 'Redis at port 6379 does not answer; start it', { cause })
  t.match(error, { name: 'HeadwayError', code: 'redis_unavailable', status: 503, temporary: true, cause, allowed: [] })
  t.ok(error instanceof Error)
  t.strictSame(new HeadwayError('invalid_transition', 'no', { allowed: ['failed'] }).allowed, ['failed'])
  t.notOk('cause' in new HeadwayError('internal', 'no'), 'no cause, no field')
})

t.test('codes have the statuses of the contract', async (t) => {
  const statuses = {
    invalid_transition: 409,
    unknown_job: 404,
    job_ended: 409,
    job_exists: 409,
    job_finished: 409,
    unauthorized: 401,
    forbidden: 403,
    not_found: 404,
    body_too_large: 413,
    unsupported_media_type: 415,
    too_many_requests: 429,
    redis_unavailable: 503,
    overloaded: 503,
    unconfirmed: 202,
    upgrade_required: 426
  } as const
  for (const [code, status] of Object.entries(statuses)) t.equal(ERRORS[code as keyof typeof statuses].status, status, code)
  for (const { status, temporary, title } of Object.values(ERRORS)) {
    if (temporary) t.ok([202, 401, 409, 429, 503, 504].includes(status), `${title}: a temporary error has a status to come back from`)
  }
  t.ok(isErrorCode('job_ended'))
  t.notOk(isErrorCode('toString'))
})

t.test('every close code of the contract says whether to come back', async (t) => {
  const reconnects = Object.fromEntries(Object.entries(CLOSE_CODES).map(([code, { reconnect }]) => [code, reconnect]))
  t.strictSame(reconnects, {
    1007: false, 1008: false, 1009: false, 1011: true, 1012: true, 1013: true, 4400: false, 4401: false, 4403: false, 4408: true, 4429: true
  })
})
