// Jobs in every state that the dashboard can show, made over HTTP: no worker lives on behind them, so each stays as it is.

import type { WorkerEvent } from '../../src/protocol/worker-events.ts'

/** What the gateway needs so that no timer moves them while a slow machine looks at them. */
export const HOLD_STATES = { HEADWAY_CONTROL_TIMEOUT_MS: '3600000', HEADWAY_RETENTION_MS: '3600000', HEADWAY_STALL_AFTER_MS: '500' }

/** The job of each state: how it begins, and what it is told then. */
const STATES: Record<string, { more?: object, then?: readonly [type: string, data: object][], control?: 'pause' | 'cancel' }> = {
  pending: { more: { state: 'pending' } },
  running: {},
  'rate-limited': { then: [['job.state', { state: 'rate_limited', retry_at: new Date(Date.now() + 3_600_000).toISOString() }]] },
  stalled: { then: [['job.heartbeat', { worker: 'worker-1' }]] },
  late: { more: { processing_deadline_ms: 1 } },
  pausing: { control: 'pause' },
  paused: { then: [['job.state', { state: 'pausing' }], ['job.state', { state: 'paused', reason: 'lunch' }]] },
  canceling: { control: 'cancel' },
  canceled: { then: [['job.state', { state: 'canceling' }], ['job.state', { state: 'canceled', reason: 'the wrong folder' }]] },
  completed: { then: [['job.state', { state: 'completed', reason: 'all items settled' }]] },
  failed: { then: [['job.state', { state: 'failed', reason: 'the storage is full' }]] }
}

export const JOBS = Object.keys(STATES)

/** What each shows when it is there. */
export const SHOWN: Record<string, RegExp> = {
  pending: /Waiting/,
  running: /Running/,
  'rate-limited': /Rate limited/,
  stalled: /Stalled/,
  late: /Deadline exceeded/,
  pausing: /Pausing/,
  paused: /Paused/,
  canceling: /Canceling/,
  canceled: /Canceled/,
  completed: /Completed/,
  failed: /Failed/
}

const FATES = ['completed', 'completed', 'failed', 'completed', 'skipped', 'completed'] as const

function eventsOf (job: string): WorkerEvent[] {
  const { more = {}, then = [] } = STATES[job] ?? {}
  const registered = { title: `Videos of a job that is ${job}`, items_total: 30, concurrency: 2, state: 'running', ...more }
  const items = job === 'pending'
    ? []
    : [...FATES.map((state, n) => ({
        id: `video-${n}`, row_index: n + 1, title: `Clip ${n}.mp4`, state, ...(state === 'failed' ? { error: 'The codec is not supported' } : {})
      })), { id: 'video-open', title: 'Clip open.mp4', state: 'processing', percent_complete: 40 }]
  return [['job.register', registered], ...items.map(item => ['item.update', item] as const), ...then]
    .map(([type, data]) => ({ type, job, data }) as unknown as WorkerEvent)
}

/** @param token one that may write and control */
export async function fillStates (url: string, token: string): Promise<void> {
  const call = async (path: string, body: unknown): Promise<void> => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
    const answer = await fetch(`${url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
    const text = await answer.text()
    if (!answer.ok || /"rejected":\[\{/.test(text)) throw new Error(`${path} answered ${answer.status}: ${text}`)
  }
  await call('/v1/events', JOBS.flatMap(eventsOf))
  for (const [job, { control }] of Object.entries(STATES)) if (control !== undefined) await call(`/v1/jobs/${job}/control`, { action: control })
}
