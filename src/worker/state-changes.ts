// Changes of state out of the log, made whole: what the log no longer holds, or another epoch has taken, comes as one change.

import type { LoggedEvent } from '../protocol/logged-event.ts'
import type { JobState } from '../protocol/states.ts'
import type { StateChange } from './transport.ts'

/**
 * @param last state last told of; null = none yet
 * @param events logged since, oldest first
 * @param now the job's state after them
 */
export function changesSince (
  last: JobState | null, events: readonly LoggedEvent[], now: { state: JobState, reason: string | null }
): StateChange[] {
  const changes: StateChange[] = []
  for (const one of events) if (one.event === 'state_changed') changes.push({ prior: one.prior, next: one.next, reason: one.reason })
  const told = changes.at(-1)?.next ?? last
  if (told !== null && told !== now.state) changes.push({ prior: told, next: now.state, reason: now.reason })
  return changes
}
