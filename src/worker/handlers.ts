// The application's functions that are told of changes. They are called as the change arrives, nothing is queued; what one of
// them throws, at once or by a promise, is reported and keeps neither the others nor the worker from going on.

import type { Log } from '../engine/connections.ts'

export interface Handlers<A extends unknown[]> {
  readonly size: number
  call (...args: A): void
  /** @returns how to take it away again */
  add (handler: (...args: A) => unknown): () => void
}

/** A handler that always throws is reported at most so often. */
const REPORT_MS = 10_000

/** @param what names them in reports */
export function createHandlers<A extends unknown[]> (what: string, log: Log): Handlers<A> {
  const handlers = new Set<(...args: A) => void>()

  function guarded (handler: (...args: A) => unknown): (...args: A) => void {
    let unreported = 0
    let quietUntil = 0
    function report (error: unknown): void {
      unreported++
      if (performance.now() < quietUntil) return
      quietUntil = performance.now() + REPORT_MS
      const times = unreported === 1 ? '' : `, ${unreported} times since the last report`
      unreported = 0
      log.error({ event: 'handler_failed', err: error }, `a ${what} handler threw${times}; the worker goes on: ${error instanceof Error ? error.message : String(error)}`)
    }
    return (...args) => {
      try {
        const result = handler(...args)
        if (result instanceof Promise) result.catch(report)
      } catch (error) {
        report(error)
      }
    }
  }

  return {
    get size () { return handlers.size },
    call (...args) {
      for (const handler of [...handlers]) handler(...args)
    },
    add (handler) {
      const own = guarded(handler)
      handlers.add(own)
      return () => { handlers.delete(own) }
    }
  }
}
