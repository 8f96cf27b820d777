// Ended jobs that the outbox has not told the persister of yet. After a long outage it may write their rows before it goes through
// what came in order: what people look for first is whether their job is done.

import type { Registration } from '../protocol/job.ts'
import { isTerminal } from '../protocol/states.ts'
import type { Connections } from './connections.ts'
import type { Keys } from './keys.ts'
import { decodeHeader, decodeRegistration, type EngineJob } from './packed.ts'

export interface EndedJob {
  job: EngineJob
  registration: Registration
  /** Packed, for packResume. */
  header: string
  record: string
}

export interface EndedPage {
  jobs: EndedJob[]
  /** Where the next page begins; null at the end. A page may be empty and yet have a next one. */
  next: string | null
}

/** @param after of the page before; absent = from the beginning. @param limit jobs looked at, ended or not */
export type ListEnded = (partition: number, limit: number, after?: string | null) => Promise<EndedPage>

/** Tenants begin with a letter or a digit, the set's sentinel stands below them. */
const FIRST = '[0'

export function createListEnded ({ connections, keys }: { connections: Connections, keys: Keys }): ListEnded {
  const redis = connections.command
  return async (partition, limit, after = null) => {
    const { jobs, meta } = keys.partition(partition)
    const [members, [packed, epoch, position]] = await Promise.all([
      redis.zrangebylex(jobs, after === null ? FIRST : `(${after}`, '+', 'LIMIT', 0, limit),
      redis.hmget(meta, '_', 'ep', 'ob')
    ])
    const clock = { gap_ms: Number(packed?.split('\t')[2] ?? 0), partition_epoch: Number(epoch ?? 0) }
    const told = Number.parseInt(position ?? '0', 10)
    const found = await Promise.all(members.map(async (member): Promise<EndedJob[]> => {
      const [tenant = '', , id = ''] = member.split('/')
      const [header, record] = await redis.hmget(keys.job(tenant, id).key, '_', 'r')
      if (!header || !record) return [] // it left Redis meanwhile
      const job = decodeHeader(header, { tenant, id, ...clock })
      const waits = isTerminal(job.state) && (job.store.outbox ?? 0) > told
      return waits ? [{ job, registration: decodeRegistration(record), header, record }] : []
    }))
    return { jobs: found.flat(), next: members.length === limit ? members.at(-1) as string : null }
  }
}
