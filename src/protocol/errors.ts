// One error class, one table of codes. Codes are stable: they stand in problem+json, socket errors and dead letters.

interface ErrorKind {
  /** HTTP status. */
  status: number
  /** True when the same request may succeed later, unchanged. */
  temporary: boolean
  title: string
}

const kind = (status: number, title: string): ErrorKind => ({ status, temporary: false, title })
const passing = (status: number, title: string): ErrorKind => ({ status, temporary: true, title })

const TABLE = {
  // the form of what was sent
  malformed_entry: kind(400, 'The entry is not in a known form'),
  malformed_json: kind(400, 'The text is not valid JSON'),
  malformed_message: kind(400, 'The message is not in a known form'),
  unknown_type: kind(400, 'The event type is unknown'),
  unknown_action: kind(400, 'The action is unknown'),
  invalid_field: kind(400, 'A field has a value that is not allowed'),
  invalid_cursor: kind(400, 'The cursor is not one that was given out'),
  invalid_utf8: kind(400, 'The text is not valid UTF-8'),
  too_deep: kind(400, 'The JSON is nested too deeply'),
  entry_too_large: kind(413, 'The entry is too large'),
  event_too_large: kind(413, 'The event is too large'),
  body_too_large: kind(413, 'The body is too large'),
  frame_too_large: kind(413, 'The frame is too large'),
  unsupported_media_type: kind(415, 'The content type is not supported'),
  upgrade_required: kind(426, 'This address speaks WebSocket'),
  wrong_partition: kind(400, 'The job belongs to another partition'),
  newer_format: passing(503, 'A newer version of Headway wrote this'),

  // the state of a job
  unknown_job: kind(404, 'The job is not known'),
  invalid_transition: kind(409, 'The job cannot go there from its state'),
  job_ended: kind(409, 'The job has ended'),
  job_exists: kind(409, 'Another job of this id is alive'),
  job_finished: kind(409, 'A finished job of this id is still kept'),
  too_many_items: kind(409, 'The job has as many items as it may have'),
  producer_gap: passing(409, 'An earlier entry of this producer is missing'),
  idempotency_conflict: passing(409, 'A request of this idempotency key is under way'),
  idempotency_mismatch: kind(422, 'The idempotency key belongs to another request'),

  // who may
  unauthorized: kind(401, 'A valid token is needed'),
  token_expired: kind(401, 'The token has expired'),
  authentication_timeout: passing(401, 'No token came in time'),
  forbidden: kind(403, 'The token does not allow this'),
  not_found: kind(404, 'There is nothing here'),
  method_not_allowed: kind(405, 'The method is not allowed here'),
  too_many_requests: passing(429, 'Too many requests'),
  too_many_subscriptions: kind(429, 'The socket watches as many jobs as it may'),

  // the service
  unconfirmed: passing(202, 'Stored, but the effect is not known yet'),
  redis_unavailable: passing(503, 'Redis cannot be reached'),
  archive_unavailable: passing(503, 'The database of ended jobs cannot be reached'),
  overloaded: passing(503, 'Too much to do'),
  not_ready: passing(503, 'Starting or stopping'),
  timeout: passing(504, 'No answer in time'),
  closed: kind(503, 'This part has been stopped'),
  invalid_config: kind(500, 'The configuration cannot be used'),
  script_reply: kind(500, 'The script in Redis and this build differ'),
  internal: kind(500, 'An error of Headway itself')
} satisfies Record<string, ErrorKind>

export type ErrorCode = keyof typeof TABLE

export const ERRORS: Record<ErrorCode, ErrorKind> = TABLE

export function isErrorCode (value: string): value is ErrorCode {
  return Object.hasOwn(TABLE, value)
}

/** The only error that Headway throws on purpose. Its message names the thing, the value and the next step. */
export class HeadwayError extends Error {
  override readonly name = 'HeadwayError'
  readonly code: ErrorCode
  /** True when the same call may succeed later. */
  readonly temporary: boolean
  /** HTTP status. */
  readonly status: number
  /** For invalid_transition: the allowed targets. */
  readonly allowed: readonly string[]

  constructor (code: ErrorCode, message: string, options: { cause?: unknown, allowed?: readonly string[] } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.temporary = ERRORS[code].temporary
    this.status = ERRORS[code].status
    this.allowed = options.allowed ?? []
  }
}

export interface CloseCode {
  name: string
  /** True: come back, with backoff and a cursor. False: the same client would be refused again. */
  reconnect: boolean
  sentence: string
}

/** Why the server closes a socket. */
export const CLOSE_CODES = {
  1007: { name: 'invalid_text', reconnect: false, sentence: 'A text frame was not UTF-8.' },
  1008: { name: 'policy', reconnect: false, sentence: 'Too many fragments, or too many pings at once.' },
  1009: { name: 'too_big', reconnect: false, sentence: 'A frame was larger than allowed.' },
  1011: { name: 'internal', reconnect: true, sentence: 'An error of the server; it is not the client\'s.' },
  1012: { name: 'restarting', reconnect: true, sentence: 'The gateway stops; the reason says when to come back.' },
  1013: { name: 'overloaded', reconnect: true, sentence: 'The gateway has too much to do, or the client reads too slowly.' },
  4400: { name: 'malformed', reconnect: false, sentence: 'The client does not speak this protocol.' },
  4401: { name: 'unauthorized', reconnect: false, sentence: 'The token has expired or was revoked; come back with a new one.' },
  4403: { name: 'forbidden', reconnect: false, sentence: 'The token does not allow this.' },
  4408: { name: 'authentication_timeout', reconnect: true, sentence: 'No token came in time.' },
  4429: { name: 'too_many_messages', reconnect: true, sentence: 'The client sent too many messages.' }
} as const satisfies Record<number, CloseCode>
