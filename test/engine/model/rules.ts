// What each kind of event does to a job that exists. A rule works on a draft: when it throws a Refusal the draft is dropped.

import { CONTROL_TARGETS, isTerminal, WORKER_TARGETS, type ControlAction, type JobState } from '../../../src/protocol/states.ts'
import type { ControlFacts, Effect, Fact, HeartbeatFacts, Job, ProgressFacts, StateFacts } from './facts.ts'
import { updateItem } from './item.ts'
import { clearRateLimit, COUNTERS, counted, limitRate, move, Refusal, sameRegistration, type Cause } from './job.ts'

export interface RuleContext {
  /** Id of the request: the entry's `re`, or the entry's id. */
  request_id: string
  items_max: number
}

/** @throws Refusal */
export function applyRule (job: Job, fact: Fact, cause: Cause, context: RuleContext): Effect {
  switch (fact.type) {
    case 'register':
      if (isTerminal(job.state)) throw new Refusal('job_finished')
      if (!sameRegistration(job.registration, fact.data)) throw new Refusal('job_exists')
      return 'repeat'
    case 'state': return requestState(job, fact.data, cause)
    case 'progress': return report(job, fact.data, cause)
    case 'heartbeat': return heartbeat(job, fact.data, cause)
    case 'control': return control(job, fact.data, cause, context.request_id)
    case 'item':
      if (isTerminal(job.state)) throw new Refusal('job_ended')
      return updateItem(job, fact.data, cause, context.items_max)
    case 'fault': throw new Error('a fault never reaches the rules')
  }
}

function requestState (job: Job, { state, resume, retry_at_wall: retryAt, reason: given }: StateFacts, cause: Cause): Effect {
  const reason = given === null ? null : cutText(given, 512)
  if (state === 'rate_limited') {
    if (isTerminal(job.state)) throw new Refusal('job_ended')
    return limitRate(job, retryAt, cause, reason) ? 'applied' : 'repeat'
  }
  if (state === job.state) {
    return state === 'running' && clearRateLimit(job, cause) ? 'applied' : 'repeat'
  }
  if (state === 'running') {
    const held = job.state === 'pausing' || job.state === 'paused'
    if (job.state === 'completing' || job.state === 'canceling' || (held && !resume)) return 'ignored'
  }
  const targets = WORKER_TARGETS[job.state]
  if (!targets.includes(state)) throw new Refusal('invalid_transition', targets)
  // Whatever the user had asked for: a worker that winds down by itself waits for no word of its own.
  job.control.id = null
  if (state === 'running') clearRateLimit(job, cause)
  move(job, state, cause, { reason })
  return 'applied'
}

function report (job: Job, data: ProgressFacts, cause: Cause): Effect {
  if (isTerminal(job.state)) throw new Refusal('job_ended')
  let effect: Effect = 'repeat'
  const noteChange = (): void => {
    effect = 'applied'
    cause.changed()
  }
  if (data.items_total !== null && data.items_total !== job.items_total) {
    job.items_total = data.items_total
    noteChange()
  }
  for (const key of COUNTERS) {
    const value = data.reported[key]
    if (value === null || value === job.reported[key]) continue
    job.reported[key] = value
    noteChange()
  }
  if (data.rate_limited === true && limitRate(job, data.retry_at_wall, cause, null)) effect = 'applied'
  if (data.rate_limited === false && clearRateLimit(job, cause)) effect = 'applied'
  return effect
}

function heartbeat (job: Job, { ack }: HeartbeatFacts, cause: Cause): Effect {
  if (isTerminal(job.state)) return 'ignored'
  job.heartbeat = true
  if (ack === null || ack !== job.control.id) return 'repeat'
  job.control.id = null
  job.control.acked = true
  cause.changed()
  return 'applied'
}

function control (job: Job, { action, reason: given }: ControlFacts, cause: Cause, requestId: string): Effect {
  const target = controlTarget(job, action)
  if (target === null) throw new Refusal('invalid_transition', actionsOf(job))
  if (target === 'same') return 'repeat'
  const waits = target === 'pausing' || target === 'canceling'
  job.control = { id: waits ? requestId : null, action, at: cause.base, acked: false }
  move(job, target, cause, { reason: given === null ? null : cutText(given, 512) })
  return 'applied'
}

function controlTarget (job: Job, action: ControlAction): JobState | 'same' | null {
  if (action === 'resume' && job.state === 'paused' && job.started_wall === null) return 'pending'
  if (action === 'cancel' && job.state === 'paused' && counted(job).processing > 0) return 'canceling'
  return CONTROL_TARGETS[action][job.state]
}

function actionsOf (job: Job): string[] {
  return (['pause', 'resume', 'cancel'] as const).filter((action) => {
    const target = CONTROL_TARGETS[action][job.state]
    return target !== null && target !== 'same'
  })
}

/** At most so many bytes of UTF-8, and no half character. */
export function cutText (text: string, bytesMax: number): string {
  const characters = [...text]
  while (Buffer.byteLength(characters.join('')) > bytesMax) characters.pop()
  return characters.join('')
}
