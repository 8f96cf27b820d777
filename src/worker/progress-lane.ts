// Progress of one job on its way to the handlers: the first at once, then the newest each 100 ms, and none twice.

import type { JobView } from '../protocol/messages.ts'

const INTERVAL_MS = 100

export interface ProgressLane {
  show (view: JobView): void
  /** What is held goes out now: a change of state follows. */
  flush (): void
  close (): void
}

export function createProgressLane (call: (view: JobView) => void): ProgressLane {
  let shown = ''
  let held: JobView | null = null
  let timer: NodeJS.Timeout | undefined

  function send (view: JobView): void {
    held = null
    clearTimeout(timer)
    timer = setTimeout(() => {
      timer = undefined
      flush()
    }, INTERVAL_MS).unref()
    call(view)
  }

  function flush (): void {
    if (held !== null) send(held)
  }

  return {
    show (view) {
      const key = keyOf(view)
      if (key === shown) return
      shown = key
      if (timer === undefined) send(view)
      else held = view
    },
    flush,
    close () {
      flush()
      clearTimeout(timer)
    }
  }
}

/** What does not move with time alone. */
function keyOf (view: JobView): string {
  return [
    view.items_total, view.items_completed, view.items_failed, view.items_skipped, view.items_canceled, view.items_processing,
    view.percent_in_progress, view.rate_limited, view.retry_at, view.stalled, view.deadline_exceeded
  ].join()
}
