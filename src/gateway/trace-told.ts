// The last step of an event's trace in a gateway: a room was told.

import type { LoggedEvent } from '../protocol/logged-event.ts'
import { isTraced, traceStep } from '../tracing/trace.ts'

/** In the trace of each event that came with one; once a room and message, never once a socket. */
export function traceTold (events: readonly LoggedEvent[], watchers: number): void {
  if (!events.some(({ cid }) => isTraced(cid))) return
  traceStep(events.map(({ cid }) => cid), { name: 'headway.tell', attributes: { 'headway.watchers': watchers }, started_at: Date.now() })
}
