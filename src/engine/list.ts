// A tenant's jobs, newest registration first: each partition keeps its own in order, a page is their merge.

import { HeadwayError } from '../protocol/errors.ts'
import type { Registration, StoredJob } from '../protocol/job.ts'
import type { Connections } from './connections.ts'
import type { Keys } from './keys.ts'
import { decodeHeader, decodeRegistration } from './packed.ts'
import type { JobQuery } from './reads.ts'

export interface ListedJob { job: StoredJob, registration: Registration }

export interface JobPage {
  jobs: ListedJob[]
  /** Null at the end. A page that was filtered by state may be short, even empty, and yet have a next one. */
  next_cursor: string | null
}

export type ListJobs = (tenant: string, query: JobQuery) => Promise<JobPage>

const SCAN_MAX = 2000

interface Clock { gap_ms: number, partition_epoch: number }

export function createListJobs ({ connections, keys }: { connections: Connections, keys: Keys }): ListJobs {
  const redis = connections.command
  const all = Array.from({ length: keys.partitions }, (_, n) => n)

  async function members (tenant: string, before: string, limit: number): Promise<string[]> {
    const max = before === '' ? `(${tenant}0` : `(${tenant}/${before}` // '0' follows '/' in ASCII: above all of the tenant's
    const found = await Promise.all(all.map((n) => redis.zrevrangebylex(keys.partition(n).jobs, max, `[${tenant}/`, 'LIMIT', 0, limit)))
    return found.flat().sort((a, b) => a < b ? 1 : -1).slice(0, limit)
  }

  async function clocks (partitions: Set<number>): Promise<Map<number, Clock>> {
    return new Map(await Promise.all([...partitions].map(async (n): Promise<[number, Clock]> => {
      const [packed, epoch] = await redis.hmget(keys.partition(n).meta, '_', 'ep')
      return [n, { gap_ms: Number(packed?.split('\t')[2] ?? 0), partition_epoch: Number(epoch ?? 0) }]
    })))
  }

  async function read (tenant: string, ids: string[]): Promise<(ListedJob | null)[]> {
    const addresses = ids.map((id) => keys.job(tenant, id))
    const clock = await clocks(new Set(addresses.map(({ partition }) => partition)))
    return await Promise.all(addresses.map(async ({ key, partition }, at) => {
      const [header, registration] = await redis.hmget(key, '_', 'r')
      if (!header || !registration) return null // it left Redis meanwhile
      return {
        job: decodeHeader(header, { tenant, id: ids[at] as string, ...clock.get(partition) as Clock }),
        registration: decodeRegistration(registration)
      }
    }))
  }

  return async (tenant, { cursor, limit, state }) => {
    if (cursor !== undefined && !/^\d{13}\/[\w.:-]{1,128}$/.test(cursor)) throw new HeadwayError('invalid_field', `cursor ${JSON.stringify(cursor)} is not one that a page of jobs gave`)
    const jobs: ListedJob[] = []
    let before = cursor ?? ''
    for (let scanned = 0; scanned < SCAN_MAX;) {
      const step = state === undefined ? limit - jobs.length : Math.min(500, SCAN_MAX - scanned)
      const found = await members(tenant, before, step)
      const read_jobs = await read(tenant, found.map((member) => member.slice(tenant.length + 15)))
      for (const [at, listed] of read_jobs.entries()) {
        before = (found[at] as string).slice(tenant.length + 1)
        if (listed && (state === undefined || listed.job.state === state)) jobs.push(listed)
        if (jobs.length === limit) return { jobs, next_cursor: before }
      }
      scanned += found.length
      if (found.length < step) return { jobs, next_cursor: null }
    }
    return { jobs, next_cursor: before }
  }
}
