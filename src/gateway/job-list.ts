// A tenant's jobs of Redis and of the archive as one list, newest registration first. A job's place is (epoch of registration, id)
// wherever it is kept, so one that leaves Redis between two pages is neither told twice nor missed: Redis is read first, and a job
// leaves it only when the database has it.

import type { Archive } from '../archive/archive.ts'
import type { JobQuery } from '../engine/engine.ts'
import type { JobView } from '../protocol/messages.ts'
import { isTerminal } from '../protocol/states.ts'
import { jobView } from '../protocol/view.ts'
import type { Identity } from './auth.ts'
import type { Reach } from './reach.ts'

export interface JobListPage { data: JobView[], next_cursor: string | null }

/** @param archive null = Redis's only */
export async function listJobs (
  engine: Pick<Reach, 'listJobs'>, archive: Archive | null, identity: Identity, query: JobQuery
): Promise<JobListPage> {
  const { jobs, next_cursor: next } = await engine.listJobs(identity.tenant_id, query)
  const now = Date.now()
  const live = jobs.map(({ job, registration }) => ({ place: placeOf(job.registered_epoch, job.id), job: jobView(job, registration, now) }))
  const isOfLive = query.state !== undefined && !isTerminal(query.state)
  if (archive === null || isOfLive) return { data: live.map(({ job }) => job), next_cursor: next }
  const { limit, cursor } = query
  const found = await archive.listJobs(identity, { ...query, before: cursor === undefined ? null : runAndId(cursor) })
  const ended = found.map(({ run, job }) => ({ place: placeOf(run, job.id), job }))
  return merge([live, next], [ended, ended.length < limit ? null : ended.at(-1)?.place ?? null], limit)
}

type Placed = { place: string, job: JobView }

/**
 * @param live with the place behind which Redis was not looked at; null = it was, to the end
 * @param ended the same of the archive
 */
function merge ([live, liveTo]: [Placed[], string | null], [ended, endedTo]: [Placed[], string | null], limit: number): JobListPage {
  const inRedis = new Set(live.map(({ place }) => place))
  // Nothing beyond the place to which both were read: the other one may have something before it.
  const to = [liveTo ?? '', endedTo ?? ''].sort().at(-1) ?? ''
  const all = [...live, ...ended.filter(({ place }) => !inRedis.has(place))]
    .filter(({ place }) => place >= to).sort((a, b) => a.place < b.place ? 1 : -1)
  const page = all.slice(0, limit)
  const last = all.length > limit ? page.at(-1)?.place : to
  return { data: page.map(({ job }) => job), next_cursor: last === '' || last === undefined ? null : last }
}

/** As the engine's own cursors are: 13 digits of ms, so that places order as texts. */
function placeOf (run: number, id: string): string {
  return `${run}/${id}`
}

function runAndId (cursor: string): { run: number, id: string } {
  return { run: Number(cursor.slice(0, 13)), id: cursor.slice(14) }
}
