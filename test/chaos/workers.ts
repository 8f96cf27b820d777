// The workers of a run: each does its job as planned through the SDK, obeys users, and never gives up on a Redis that is away.
// One that replaces a dead worker goes on with what is not settled (recall.ts).

import { setTimeout as pause } from 'node:timers/promises'
import { ProgressMonitor } from '../../src/worker/index.ts'
import { TENANT } from '../e2e/support.ts'
import type { Plan, PlannedItem, PlannedJob } from './plan.ts'
import type { Recalled } from './recall.ts'

/** Done items of each job, by which users and faults choose their moment. */
export type Progress = Map<string, number>

export const POLL_MS = 40
const SILENT = { debug () {}, info () {}, warn () {}, error () {} }

export interface WorkParams {
  plan: Plan
  redis_url: string
  onDone: (job: string, items: number) => void
  stopped: () => boolean
  /** What a worker before this one did of a job. */
  recall?: (job: PlannedJob) => Promise<Recalled>
}

/** @returns what the SDK refused to send; empty when all is well */
export async function work ({ plan, redis_url: redisUrl, onDone, stopped, recall }: WorkParams): Promise<string[]> {
  const refused: string[] = []
  await Promise.all(plan.jobs.map(async job => {
    const monitor = new ProgressMonitor({ redisUrl, tenantId: TENANT, worker: job.id, log: SILENT })
    const calls: Promise<void>[] = []
    const say = (call: Promise<void>): void => {
      calls.push(call.catch(error => { refused.push(`${job.id}: ${String(error)}`) }))
    }
    try {
      const recalled = await recall?.(job) ?? new Map()
      await doJob({ plan, job, monitor, say, onDone, stopped, recalled })
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
  onDone: WorkParams['onDone']
  stopped: () => boolean
  recalled: Recalled
}

/** As both ways to say it have it: a repeat of a registration is none when it differs. */
export function registrationOf ({ items, kind }: PlannedJob): { items_total: number, auto_complete: boolean, title: string } {
  return { items_total: items.length, auto_complete: kind === 'auto', title: kind }
}

async function doJob (doing: Doing): Promise<void> {
  const { plan, job, monitor, say, onDone, stopped, recalled } = doing
  say(monitor.registerJob(job.id, registrationOf(job)))
  say(monitor.updateJobState(job.id, 'running'))
  const before = job.items.findLastIndex(({ id }) => recalled.get(id) === 'settled') + 1
  const begun = performance.now() - plan.work_ms * before / job.items.length
  for (const [n, item] of job.items.entries()) {
    if (stopped() || await obey(doing) === 'cancel') break
    if (recalled.get(item.id) !== 'settled' && job.kind === 'counted') countItem(doing, n)
    else if (recalled.get(item.id) !== 'settled') await doItem(doing, item, n)
    onDone(job.id, n + 1)
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

async function doItem ({ plan, job, monitor, say, recalled }: Doing, { id, fate, percents }: PlannedItem, n: number): Promise<void> {
  const before = recalled.get(id)
  const much = 'x'.repeat(plan.bulk_bytes)
  const bulk = much === '' ? {} : { result: much, error: much }
  const tell = (data: object): void => say(monitor.updateItemProgress(job.id, { id, ...data, ...bulk }))
  if (before === undefined) {
    tell({ state: 'processing', row_index: n, title: `Item ${n}` })
    for (const percent of percents) {
      tell({ percent_complete: percent })
      await pause(2)
    }
    if (fate === 'open') return
    if (fate === 'retried') tell({ state: 'failed', retryable: true, error: 'again' })
  }
  if (fate === 'retried' && before !== 'retrying') tell({ state: 'processing' })
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

/** Like the tests' `until`, without an end: runs have one of their own. */
export async function until (look: () => boolean): Promise<void> {
  while (!look()) await pause(POLL_MS)
}
