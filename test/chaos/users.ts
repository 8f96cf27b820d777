// The users of a run: they pause, resume and cancel over HTTP, and ask again until they see that it took effect.

import { setTimeout as pause } from 'node:timers/promises'
import type { Plan, PlannedJob } from './plan.ts'
import { POLL_MS, type Progress, until } from './workers.ts'

export interface UserParams {
  plan: Plan
  /** A gateway that should answer now. */
  url: () => string
  token: string
  progress: Progress
  stopped: () => boolean
}

/** Pauses and cancels as planned. What a fault swallows is asked for again; a job that ended meanwhile is left alone. */
export async function actAsUsers ({ plan, url, token, progress, stopped }: UserParams): Promise<void> {
  const reached = (job: PlannedJob, done: number) => until(() => stopped() || (progress.get(job.id) ?? 0) >= done)
  const stateOf = async (job: string): Promise<string | null> => await ask(`${url()}/v1/jobs/${job}`, token)
  /** @returns the state that it found in the end */
  async function insist (job: string, action: string, wanted: readonly string[]): Promise<string | null> {
    while (!stopped()) {
      const state = await stateOf(job)
      if (state !== null && (wanted.includes(state) || isOver(state))) return state
      await ask(`${url()}/v1/jobs/${job}/control`, token, { action, reason: 'chaos' })
      await pause(POLL_MS)
    }
    return null
  }
  await Promise.all(plan.jobs.flatMap(job => [
    (async () => {
      if (job.pause_at === null) return
      await reached(job, job.pause_at)
      await insist(job.id, 'pause', ['pausing', 'paused'])
      await pause(200)
      // Redis may lose what it had accepted, the resume too: a user who sees that the job stands again asks again.
      while (!stopped() && !isOver(await insist(job.id, 'resume', ['running', 'pending']))) await pause(10 * POLL_MS)
    })(),
    (async () => {
      if (job.cancel_at === null) return
      await reached(job, job.cancel_at)
      await insist(job.id, 'cancel', ['canceling', 'canceled'])
    })()
  ]))
}

function isOver (state: string | null): boolean {
  return state === 'completed' || state === 'failed' || state === 'canceled'
}

/** @returns the job's state; null when nobody answers so */
async function ask (url: string, token: string, body?: object): Promise<string | null> {
  try {
    const response = await fetch(url, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(2_500)
    })
    const { state } = await response.json() as { state?: string }
    return state ?? null
  } catch {
    return null
  }
}
