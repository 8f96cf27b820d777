// What is left of a dead worker's job, as the worker that replaces it finds out: it registers over HTTP, which waits for the effect
// and so for all that the dead one had sent before, then reads the job's items.

import { setTimeout as pause } from 'node:timers/promises'
import type { PlannedItem, PlannedJob } from './plan.ts'
import { POLL_MS, registrationOf } from './workers.ts'

/** By item: all is done, or its first attempt has failed, or its second has begun. Items that are not there are done anew. */
export type Recalled = Map<string, 'settled' | 'failed' | 'retrying'>

interface StoredItem { id: string, state: string, attempt: number, retryable: boolean }

export interface RecallParams {
  job: PlannedJob
  /** A gateway that should answer now. */
  url: () => string
  token: string
  stopped: () => boolean
}

export async function recall ({ job, url, token, stopped }: RecallParams): Promise<Recalled> {
  while (!stopped()) {
    try {
      if (await isSettledSoFar(url(), token, job)) {
        return job.kind === 'counted' ? await countedOf(url(), token, job) : recalledOf(job, await readItems(url(), token, job.id))
      }
    } catch { /* a gateway that is away: another one, or later */ }
    await pause(POLL_MS)
  }
  return new Map()
}

async function isSettledSoFar (url: string, token: string, job: PlannedJob): Promise<boolean> {
  const { status, body } = await ask(`${url}/v1/jobs`, token, { id: job.id, ...registrationOf(job) })
  const { code } = body as { code?: string }
  return status === 200 || status === 201 || code === 'job_finished' // not 202: it is not known yet
}

/** A job without items: its first ones are in the counters. */
async function countedOf (url: string, token: string, { id, items }: PlannedJob): Promise<Recalled> {
  const { status, body } = await ask(`${url}/v1/jobs/${id}`, token)
  if (status !== 200) throw new Error(`${id} could not be read: ${status}`)
  const { items_completed: completed, items_failed: failed, items_skipped: skipped } = body as Record<string, number>
  return new Map(items.slice(0, (completed ?? 0) + (failed ?? 0) + (skipped ?? 0)).map(item => [item.id, 'settled']))
}

async function readItems (url: string, token: string, job: string): Promise<StoredItem[]> {
  const items: StoredItem[] = []
  let cursor: string | null = ''
  while (cursor !== null) {
    const { status, body } = await ask(`${url}/v1/jobs/${job}/items?limit=500${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`, token)
    if (status !== 200) throw new Error(`the items of ${job} could not be read: ${status}`)
    const page = body as { data: StoredItem[], next_cursor: string | null }
    items.push(...page.data)
    cursor = page.next_cursor
  }
  return items
}

function recalledOf (job: PlannedJob, stored: readonly StoredItem[]): Recalled {
  const fates = new Map(job.items.map(({ id, fate }): [string, PlannedItem['fate']] => [id, fate]))
  const recalled: Recalled = new Map()
  for (const { id, state, attempt, retryable } of stored) {
    if (state === 'completed' || state === 'skipped' || (state === 'failed' && !retryable)) recalled.set(id, 'settled')
    else if (state === 'failed') recalled.set(id, 'failed')
    else if (attempt > 1 && fates.get(id) === 'retried') recalled.set(id, 'retrying')
  }
  return recalled
}

async function ask (url: string, token: string, body?: object): Promise<{ status: number, body: unknown }> {
  const response = await fetch(url, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(3_000)
  })
  return { status: response.status, body: await response.json() }
}
