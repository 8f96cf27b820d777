// What a client may say on a socket; each message gets an ack, a pong or an error with its `id`. Unknown fields are ignored, as
// in all of v1, but not on control: a misspelt `reason` of a cancel should be told, not swallowed.

import { randomUUID } from 'node:crypto'
import type { Logger } from 'pino'
import { HeadwayError } from '../protocol/errors.ts'
import { isId } from '../protocol/ids.ts'
import { CONFIRM_MS_MAX } from '../protocol/limits.ts'
import type { ClientMessage } from '../protocol/messages.ts'
import { FRAMES } from '../protocol/schema/control.ts'
import { createValidator, type Validate } from '../protocol/schema/validate.ts'
import type { ControlAction } from '../protocol/states.ts'
import { requireScope } from './auth.ts'
import { joinOptions } from './join-options.ts'
import { isObject, parseJson } from './json.ts'
import { isFault, toHeadwayError } from './problem.ts'
import type { Quota } from './quotas.ts'
import type { Reach } from './reach.ts'
import type { Session } from './session.ts'

/** Frames that are no message at all, after which the socket is closed. */
const MALFORMED_MAX = 5

export interface ActionsOptions {
  engine: Pick<Reach, 'submit'>
  /** Of every message of a tenant. */
  messages: Quota
  log: Logger
}

type Authenticated = (session: Session) => void

/** Handles one frame; `onAuthenticated` is called when the socket gets its first token. */
export type Actions = (session: Session, bytes: Buffer, onAuthenticated: Authenticated) => void

export function createActions ({ engine, messages, log }: ActionsOptions): Actions {
  const validators = new Map<string, Validate>(Object.entries(FRAMES).map(([action, schema]) => [action, createValidator(schema)]))
  const malformed = new WeakMap<Session, number>()
  /** Sessions whose token is being verified: what they say meanwhile waits, in order. */
  const authenticating = new WeakMap<Session, Promise<void>>()

  function read (message: Record<string, unknown>): ClientMessage {
    const { action } = message
    const validate = typeof action === 'string' ? validators.get(action) : undefined
    if (validate === undefined) throw new HeadwayError('unknown_action', `There is no action ${String(JSON.stringify(action)).slice(0, 64)}.`)
    const checked = validate(isControl(action) ? message : knownFields(action as keyof typeof FRAMES, message))
    if ('error' in checked) throw checked.error
    return checked.value as ClientMessage
  }

  async function authenticate (session: Session, token: string, id: string | null, onAuthenticated: Authenticated): Promise<void> {
    const first = session.identity === null
    try {
      await session.authenticate(token)
    } catch (error) {
      session.fail(id, error)
      if (first) refuseToken(session, toHeadwayError(error).status)
      return
    }
    session.ack({ id, action: 'authenticate' })
    if (first) onAuthenticated(session)
  }

  function refuseToken (session: Session, status: number): void {
    if (status === 429) session.close(4429, 'This tenant has too many connections, or they come too fast.')
    else session.close(status === 403 ? 4403 : 4401, 'The token is not valid here.')
  }

  async function control (session: Session, message: Extract<ClientMessage, { action: ControlAction }>, id: string | null): Promise<void> {
    const { action, job_id: jobId, reason = null } = message
    const identity = session.allowed()
    requireScope(identity, 'jobs:control')
    const result = await engine.submit({
      type: 'job.control',
      tenant: identity.tenant_id,
      job: jobId,
      cid: isId(id) ? id : undefined,
      data: { action, reason }
    }, { request_id: randomUUID(), timeout_ms: CONFIRM_MS_MAX })
    if (result.outcome === 'refused') throw new HeadwayError(result.code, result.detail, { allowed: result.allowed })
    const data = result.outcome === 'unconfirmed'
      ? { effect: 'unconfirmed' }
      : { effect: result.effect, state: result.state, rev: result.rev, request_id: result.request_id }
    session.ack({ id, action, job_id: jobId, data })
  }

  async function run (session: Session, given: Record<string, unknown>, id: string | null, onAuthenticated: Authenticated): Promise<void> {
    if (session.identity !== null) messages.take(session.identity.tenant_id)
    const message = read(given)
    switch (message.action) {
      case 'subscribe': {
        const { action, job_id: jobId } = message
        return session.subscribe(jobId, joinOptions(message), resumed => session.ack({ id, action, job_id: jobId, data: { resumed } }))
      }
      case 'unsubscribe':
        session.unsubscribe(message.job_id)
        return session.ack({ id, action: message.action, job_id: message.job_id })
      case 'authenticate':
        return authenticate(session, message.token, id, onAuthenticated)
      case 'ping':
        return session.send({ type: 'pong', id, ts: new Date().toISOString() })
      case 'subscribe_tenant':
        return session.subscribeTenant(() => session.ack({ id, action: 'subscribe_tenant' }))
      case 'unsubscribe_tenant':
        session.unsubscribeTenant()
        return session.ack({ id, action: message.action })
      default:
        return control(session, message, id)
    }
  }

  function refuseForm (session: Session, error: unknown): void {
    session.fail(null, error)
    const count = (malformed.get(session) ?? 0) + 1
    malformed.set(session, count)
    if (count >= MALFORMED_MAX) session.close(4400, 'Too many malformed messages.')
  }

  function dispatch (session: Session, given: Record<string, unknown>, onAuthenticated: Authenticated): void {
    const pending = authenticating.get(session)
    if (pending !== undefined) return void pending.then(() => dispatch(session, given, onAuthenticated))
    const id = typeof given.id === 'string' && given.id.length <= 128 ? given.id : null
    const done = run(session, given, id, onAuthenticated).catch((error: unknown) => {
      const known = toHeadwayError(error)
      if (isFault(known)) log[known.temporary ? 'warn' : 'error']({ event: 'action_failed', code: known.code, err: error, correlation_id: id }, 'an action failed')
      session.fail(id, known, isId(given.job_id) ? given.job_id : undefined)
    })
    if (given.action === 'authenticate') authenticating.set(session, done.finally(() => authenticating.delete(session)))
  }

  return (session, bytes, onAuthenticated) => {
    let message: unknown
    try {
      message = parseJson(bytes)
    } catch (error) {
      return refuseForm(session, error)
    }
    if (!isObject(message)) {
      return refuseForm(session, new HeadwayError('malformed_message', 'A message is a JSON object with an action.'))
    }
    dispatch(session, message, onAuthenticated)
  }
}

function isControl (action: unknown): boolean {
  return action === 'pause' || action === 'resume' || action === 'cancel'
}

function knownFields (action: keyof typeof FRAMES, message: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.keys(FRAMES[action].properties).filter(name => name in message).map(name => [name, message[name]]))
}
