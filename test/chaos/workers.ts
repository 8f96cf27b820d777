// The workers of a run: each does its job as planned through the SDK, obeys users, and never gives up on a Redis that is away.
// And the users: they pause, resume and cancel over HTTP, and ask again until they see that it took effect.

import { setTimeout as pause } from 'node:timers/promises'
import { ProgressMonitor } from '../../src/worker/index.ts'
import { TENANT } from '../e2e/support.ts'
import type { Plan, PlannedItem, PlannedJob } from './plan.ts'

/** Done items of each job, by which users and faults choose their moment. */
export type Progress = Map<string, number>

const POLL_MS = 40
const SILENT = { debug () {}, info () {}, warn () {}, error () {} }

export interface WorkParams {
  plan: Plan
  redis_url: string
  progress: Progress
  stopped: () => boolean
}

/** @returns what the SDK refused to send; empty when all is well */
export async function work ({ plan, redis_url: redisUrl, progress, stopped }: WorkParams): Promise<string[]> {
  const refused: string[] = []
  await Promise.all(plan.jobs.map(async job => {
    const monitor = new ProgressMonitor({ redisUrl, tenantId: TENANT, worker: job.id, log: SILENT })
    const calls: Promise<void>[] = []
    const say = (call: Promise<void>): void => {
      calls.push(call.catch(error => { refused.push(`${job.id}: ${String(error)}`) }))
    }
    try {
      await doJob({ plan, job, monitor, say, progress, stopped })
      await Promise.race([Promise.all(calls), until(stopped)])
      // It lives on for a while, as workers do: what a primary had not copied when it died is sent again.
      await until(stopped)
    } finally {
      await monitor.close()
    }
  }))
  return refused
}

interface Doing {
  plan: Plan
  job: PlannedJob
  monitor: ProgressMonitor
  say: (call: Promise<void>) => void
  progress: Progress
  stopped: () => boolean
}

async function doJob (doing: Doing): Promise<void> {
  const { plan, job, monitor, say, progress, stopped } = doing
  say(monitor.registerJob(job.id, { items_total: job.items.length, auto_complete: job.kind === 'auto', title: job.kind }))
  say(monitor.updateJobState(job.id, 'running'))
  const begun = performance.now()
  for (const [n, item] of job.items.entries()) {
    if (stopped() || await obey(doing) === 'cancel') break
    if (job.kind === 'counted') countItem(doing, n)
    else await doItem(doing, item, n)
    progress.set(job.id, n + 1)
    const early = begun + plan.work_ms * (n + 1) / job.items.length - performance.now()
    if (early > 1) await pause(early)
  }
  if (job.kind === 'canceled') {
    // Both, so that it ends whatever became of the user's request in Redis.
    say(monitor.updateJobState(job.id, 'canceling'))
    say(monitor.updateJobState(job.id, 'canceled'))
  }
  if (job.kind === 'failing') say(monitor.updateJobState(job.id, 'failed', 'as planned'))
  if (job.kind === 'told' || job.kind === 'counted') {
    // As the rules have it: a pausing or paused job cannot be completed by a routine.
    await obey(doing)
    say(monitor.updateJobState(job.id, 'running'))
    say(monitor.updateJobState(job.id, 'completed'))
  }
}

function countItem ({ job, monitor, say }: Doing, n: number): void {
  const done = job.items.slice(0, n + 1).map(({ fate }) => fate)
  const count = (...fates: string[]): number => done.filter(fate => fates.includes(fate)).length
  say(monitor.updateJobProgress(job.id, {
    items_completed: count('completed', 'retried'), items_failed: count('failed'), items_skipped: count('skipped')
  }))
}

async function doItem ({ plan, job, monitor, say }: Doing, { id, fate, percents }: PlannedItem, n: number): Promise<void> {
  const much = 'x'.repeat(plan.bulk_bytes)
  const bulk = much === '' ? {} : { result: much, error: much }
  const tell = (data: object): void => say(monitor.updateItemProgress(job.id, { id, ...data, ...bulk }))
  tell({ state: 'processing', row_index: n, title: `Item ${n}` })
  for (const percent of percents) {
    tell({ percent_complete: percent })
    await pause(2)
  }
  if (fate === 'open') return
  if (fate === 'retried') {
    tell({ state: 'failed', retryable: true, error: 'again' })
    tell({ state: 'processing' })
  }
  tell({ state: fate === 'retried' ? 'completed' : fate })
}

/** Waits while a user has paused the job. */
async function obey ({ job, monitor, say, stopped }: Doing): Promise<'go' | 'cancel'> {
  while (!stopped()) {
    const control = await monitor.control(job.id).catch(() => null)
    if (control === null) {
      await pause(POLL_MS)
      continue
    }
    if (control.request_id !== null) say(monitor.acknowledge(job.id, control.request_id))
    if (control.state === 'canceling' || control.state === 'canceled') return 'cancel'
    if (control.state !== 'pausing' && control.state !== 'paused') return 'go'
    await pause(POLL_MS)
  }
  return 'cancel'
}

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

/** Like the tests' `until`, without an end: runs have one of their own. */
async function until (look: () => boolean): Promise<void> {
  while (!look()) await pause(POLL_MS)
}
