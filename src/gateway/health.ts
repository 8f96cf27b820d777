// What this gateway knows of itself. Redis is asked at most once a second, however often the probes come.

import type { Reach } from './reach.ts'

const ASK_MS_MIN = 1_000

/**
 * ok; degraded = ready, but Redis does not answer. Not ready: starting; stopping; deaf = Redis answers, and what it publishes does not
 * arrive here: others may serve better, and no client that comes would hear anything.
 */
export type Status = 'ok' | 'degraded' | 'deaf' | 'starting' | 'stopping'

export interface Health {
  /** True once Redis has been seen; stays. */
  started: () => boolean
  status: () => Promise<Status>
  /** Whether clients should come here, without asking Redis. */
  ready: () => boolean
  start: () => Promise<void>
  stop: () => void
}

export function createHealth ({ engine }: { engine: Pick<Reach, 'ping' | 'hearing'> }): Health {
  let seen = false
  let stopping = false
  let askedAt = -Infinity
  let answer: Promise<boolean> = Promise.resolve(false)

  function ask (): Promise<boolean> {
    const now = performance.now()
    if (now - askedAt >= ASK_MS_MIN) {
      askedAt = now
      answer = engine.ping().then(up => {
        seen ||= up
        return up
      })
    }
    return answer
  }

  function statusOf (up: boolean): Status {
    if (stopping) return 'stopping'
    if (!seen) return 'starting'
    if (!up) return 'degraded'
    return engine.hearing() ? 'ok' : 'deaf'
  }

  return {
    started: () => seen,
    async status () {
      return statusOf(await ask())
    },
    ready: () => statusOf(true) === 'ok',
    async start () { await ask() },
    stop () { stopping = true }
  }
}
