// Puts jobs back that Redis lost, as the database last knew them: called by persisters, one job after the other, while the
// reducer of the partition waits.

import type { ItemView } from '../protocol/messages.ts'
import { escapeText } from '../protocol/text.ts'
import type { Connections } from './connections.ts'
import type { Keys } from './keys.ts'
import { resumedHeader, type RestoredItems } from './resume.ts'
import { loadScript, replyOf } from './script.ts'

export interface RestorePlan {
  /** done = nothing was lost since the last time; absent = no partition to restore to. */
  word: 'needed' | 'done' | 'absent'
  /** Which making of the partition this is. */
  born: string
}

export interface RestoringJob { tenant: string, id: string, engine: string }

export interface Restore {
  /** @param above greatest epoch that a row of the partition has; its own becomes greater */
  beginRestore (partition: number, above?: number): Promise<RestorePlan>
  /** @param items pages of the job's items, one after the other. @returns unreadable when its row holds nothing to go on with */
  restoreJob (job: RestoringJob, born: string, items: AsyncIterable<readonly ItemView[]>): Promise<'restored' | 'exists' | 'moved' | 'unreadable'>
  endRestore (partition: number, born: string): Promise<boolean>
}

const PREPARED_TTL_S = 600
const PAGE_ITEMS = 16

const beginScript = loadScript('begin_restore.lua')
const jobScript = loadScript('restore_job.lua')
const endScript = loadScript('end_restore.lua')

export function createRestore ({ connections, keys }: { connections: Connections, keys: Keys }): Restore {
  const redis = connections.command
  const publish = connections.topology === 'cluster' ? 'SPUBLISH' : 'PUBLISH'

  async function begin (partition: number, above: number): Promise<RestorePlan & { now: number, gap_ms: number }> {
    const reply = replyOf(beginScript, await beginScript.run(redis, { meta: keys.partition(partition).meta }, { above_ms: above }))
    const [word, born, now, gap] = reply as [RestorePlan['word'], string, string, string]
    return { word, born, now: Number(now) - Number(gap), gap_ms: Number(gap) }
  }

  /** Items in the order in which they come, a bounded number a call. */
  async function prepare (prepared: string, pages: AsyncIterable<readonly ItemView[]>, now: number): Promise<RestoredItems> {
    const counts: RestoredItems = { completed: 0, failed: 0, retryable: 0, skipped: 0, canceled: 0, processing: 0, seen: 0 }
    let open: string[] = []
    for await (const page of pages) {
      const fields: string[] = []
      for (const item of page) {
        fields.push(`i:${item.id}`, itemRecord(item, now))
        if (item.state !== 'pending') counts[item.state]++
        if (item.state === 'failed' && item.retryable) counts.retryable++
        open.push(item.id)
        counts.seen++
        if (open.length < PAGE_ITEMS) continue
        fields.push(`o:${counts.seen / PAGE_ITEMS - 1}`, open.join('\t'))
        open = []
      }
      if (fields.length > 0) await redis.hset(prepared, ...fields)
    }
    if (open.length > 0) await redis.hset(prepared, `o:${Math.floor(counts.seen / PAGE_ITEMS)}`, open.join('\t'))
    if (counts.seen > 0) await redis.expire(prepared, PREPARED_TTL_S)
    return counts
  }

  return {
    beginRestore: async (partition, above = 0) => {
      const { word, born } = await begin(partition, above)
      return { word, born }
    },
    async restoreJob ({ tenant, id, engine }, born, pages) {
      const { partition, key, member } = keys.job(tenant, id)
      const prepared = keys.prepared(tenant, id)
      const { now, gap_ms: gapMs } = await begin(partition, 0)
      await redis.unlink(prepared)
      const counts = await prepare(prepared, pages, now)
      const resumed = resumedHeader(engine, counts, now, gapMs)
      if (resumed === null) {
        await redis.unlink(prepared)
        return 'unreadable'
      }
      const { meta, agenda, jobs, dirty } = keys.partition(partition)
      const { header, record, state, control, seq } = resumed
      const channel = keys.tenantPrefix(partition) + tenant
      const args = {
        member, tenant, id, header, record, state, control, next_seq: seq + 1, born, publish, tenant_channel: channel
      }
      const [word] = replyOf(jobScript, await jobScript.run(redis, { job: key, prepared, meta, agenda, jobs, dirty }, args))
      return word as 'restored' | 'exists' | 'moved'
    },
    async endRestore (partition, born) {
      const [word] = replyOf(endScript, await endScript.run(redis, { meta: keys.partition(partition).meta }, { born }))
      return word === 'done'
    }
  }
}

/** docs/engine.md §4; one that was being processed begins now. */
function itemRecord (item: ItemView, now: number): string {
  const json = (value: unknown): string => value === null || value === undefined ? '' : escapeText(JSON.stringify(value))
  const text = (value: string | null): string => value === null ? '' : escapeText(value)
  const number = (value: number | null): string => value === null ? '' : String(value)
  return [
    item.state, item.attempt, item.retryable ? 1 : 0, Math.round(item.percent_complete * 100), item.state === 'processing' ? now : '',
    number(item.duration_ms), Date.parse(item.created_at), Date.parse(item.updated_at), item.truncated ? 1 : 0, number(item.row_index),
    number(item.weight), text(item.title), text(item.kind), text(item.worker), json(item.error), json(item.result)
  ].join('\t')
}
