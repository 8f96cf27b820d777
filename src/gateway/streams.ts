// The streams of server-sent events that this gateway holds, so that they go like sockets when it stops.

import { letGo } from './departure.ts'

/** Ends one stream, and tells its client to come back later. */
export type Restart = () => void

export interface Streams {
  /** One that comes while the gateway stops is sent on at once. @returns leave */
  add: (restart: Restart) => () => void
  /** Spread over the drain window. */
  stop: () => Promise<void>
}

export function createStreams ({ drain_window_ms: windowMs }: { drain_window_ms: number }): Streams {
  const open = new Set<Restart>()
  let stopping = false
  return {
    add (restart) {
      open.add(restart)
      if (stopping) setImmediate(() => { if (open.has(restart)) restart() })
      return () => { open.delete(restart) }
    },
    stop () {
      stopping = true
      return letGo(open, windowMs, restart => { if (open.has(restart)) restart() })
    }
  }
}
