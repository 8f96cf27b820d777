// Control calls under way: each is settled by its ack, its error, the loss of the connection, or time.
//
// A call waits for the socket to open, but is never sent twice: a pause that comes late could undo somebody's resume.

import { HeadwayError, isErrorCode } from '../protocol/errors.ts'
import type { AckMessage, ClientMessage, ErrorMessage } from '../protocol/messages.ts'
import type { ControlAction } from '../protocol/states.ts'
import { controlResultOf } from './events.ts'
import type { ControlResult } from './events.ts'
import type { Clock } from './platform.ts'

type ControlMessage = Extract<ClientMessage, { action: ControlAction }>

interface Request {
  message: ControlMessage & { id: string }
  sent: boolean
  timer: unknown
  resolve: (result: ControlResult) => void
  reject: (error: HeadwayError) => void
}

export interface Requests {
  readonly size: number
  /** Job of one that waits; null = none does. */
  readonly job_id: string | null
  /** @throws HeadwayError the server's; unconfirmed: no answer came, look at the job before trying again */
  add (message: ControlMessage & { id: string }): Promise<ControlResult>
  /** The socket is open. */
  sendAll (): void
  /** @returns whether it was the answer to one of these */
  settle (message: AckMessage | ErrorMessage): boolean
  /** The connection is lost: what was sent gets no answer any more. */
  interrupt (): void
  refuse (why: HeadwayError): void
}

/** Answers take 2 s at most; the rest is for the connection. */
const ANSWER_MS_MAX = 15_000

export function createRequests ({ send, clock, onEmpty }: {
  send: (message: ClientMessage) => boolean
  clock: Clock
  onEmpty: () => void
}): Requests {
  const pending = new Map<string, Request>()

  function take (id: string): Request | undefined {
    const request = pending.get(id)
    if (request === undefined) return
    pending.delete(id)
    clock.clearTimeout(request.timer)
    if (pending.size === 0) onEmpty()
    return request
  }

  const unconfirmed = ({ action, job_id: jobId }: ControlMessage, why: string): HeadwayError =>
    new HeadwayError('unconfirmed', `${action} of job ${jobId}: ${why}; look at the job before you try again`)

  function reject (choose: (request: Request) => HeadwayError | null): void {
    for (const [id, request] of [...pending]) {
      const why = choose(request)
      if (why !== null) take(id)?.reject(why)
    }
  }

  return {
    get size () { return pending.size },
    get job_id () { return pending.values().next().value?.message.job_id ?? null },

    add (message) {
      return new Promise((resolve, reject) => {
        const timer = clock.setTimeout(() => { take(message.id)?.reject(unconfirmed(message, 'no answer came in time')) }, ANSWER_MS_MAX)
        pending.set(message.id, { message, sent: send(message), timer, resolve, reject })
      })
    },

    sendAll () {
      for (const request of pending.values()) request.sent ||= send(request.message)
    },

    settle (message) {
      const request = message.id === null ? undefined : take(message.id)
      if (request === undefined) return false
      if (message.type === 'ack') request.resolve(controlResultOf(message))
      else request.reject(toError(message))
      return true
    },

    interrupt: () => reject(({ sent, message }) => sent ? unconfirmed(message, 'the connection was lost before the answer') : null),
    refuse: why => reject(() => why)
  }
}

export function toError ({ code, detail, allowed = [] }: ErrorMessage): HeadwayError {
  return new HeadwayError(isErrorCode(code) ? code : 'internal', detail, { allowed })
}
