// Facts as a worker would write them: flat entries of any language, and the SDK's packed batches (docs/engine.md §3).
// Written from that page; the project's own packer is not used, so that the two are held against each other.

import type { Fact } from './facts.ts'
import { cutText } from './rules.ts'

/** Field names and values of an XADD, alternating. */
export type WireFields = (string | Buffer)[]

/** Ways to write the same thing that must not matter. */
export interface FlatStyle {
  /** Leave `tenant` away where it is the default. */
  bare: boolean
  /** 0 ms, 1 ISO with Z, 2 as Python's utcnow().isoformat(): no zone, microseconds. */
  times: number
  /** Absent values as JSON null instead of left away. */
  nulls: boolean
  /** A field that no version knows. */
  unknown: boolean
}

export function flatFields (fact: Exclude<Fact, { type: 'fault' }>, style: FlatStyle): WireFields {
  const types = {
    register: 'job.register', state: 'job.state', progress: 'job.progress', heartbeat: 'job.heartbeat', control: 'job.control', item: 'item.update'
  } as const
  const fields = ['type', types[fact.type], 'job', fact.job, 'data', flatData(fact, style)]
  if (!(style.bare && fact.tenant === 'default')) fields.push('tenant', fact.tenant)
  if (fact.cid !== null) fields.push('cid', fact.cid)
  return fields
}

function flatData (fact: Exclude<Fact, { type: 'fault' }>, style: FlatStyle): string {
  const members: string[] = []
  const raw = (name: string, json: string | null): void => { if (json !== null) members.push(`"${name}":${json}`) }
  const put = (name: string, value: string | number | boolean | null): void => raw(name, value === null ? null : JSON.stringify(value))
  const nullable = (name: string, value: string | number | null): void => {
    if (value !== null || style.nulls) raw(name, JSON.stringify(value))
  }
  const time = (name: string, ms: number | null): void => put(name, ms === null ? null : writeTime(ms, style.times))
  if (style.unknown) members.push('"later_version":{"deep":[1,2,{"x":null}]}')
  switch (fact.type) {
    case 'register': {
      const { data } = fact
      put('items_total', data.items_total)
      put('state', data.state)
      for (const [name, value] of Object.entries(data.initial)) if (value > 0) put(`items_${name}`, value)
      put('rate_limited', data.rate_limited)
      nullable('processing_deadline_ms', data.deadline_ms)
      if (data.auto_complete) put('auto_complete', true)
      if (data.fail_on_deadline) put('fail_on_deadline', true)
      time('created_at', data.created_wall)
      nullable('title', data.title)
      nullable('job_kind', data.job_kind)
      if (data.item_kind !== 'video') put('item_kind', data.item_kind)
      nullable('concurrency', data.concurrency)
      raw('metadata', data.metadata_json)
      break
    }
    case 'state':
      put('state', fact.data.state)
      if (fact.data.resume) put('resume', true)
      time('retry_at', fact.data.retry_at_wall)
      nullable('reason', fact.data.reason)
      break
    case 'progress':
      put('items_total', fact.data.items_total)
      for (const [name, value] of Object.entries(fact.data.reported)) put(`items_${name}`, value)
      put('rate_limited', fact.data.rate_limited)
      time('retry_at', fact.data.retry_at_wall)
      if (style.unknown) members.push('"state":"completed"')
      break
    case 'heartbeat':
      nullable('ack', fact.data.ack)
      nullable('worker', fact.data.worker)
      break
    case 'control':
      put('action', fact.data.action)
      nullable('reason', fact.data.reason)
      break
    case 'item': {
      const { data } = fact
      put('id', data.id)
      put('state', data.state)
      put('attempt', data.attempt)
      put('retryable', data.retryable)
      put('percent_complete', data.percent === null ? null : data.percent / 100)
      nullable('duration_ms', data.duration_ms)
      time('created_at', data.created_wall)
      time('updated_at', data.updated_wall)
      nullable('row_index', data.row_index)
      nullable('weight', data.weight)
      nullable('title', data.title)
      nullable('kind', data.kind)
      nullable('worker', data.worker)
      raw('error', data.error_json)
      raw('result', data.result_json)
    }
  }
  return `{${members.join(',')}}`
}

function writeTime (ms: number, style: number): string | number {
  const iso = new Date(ms).toISOString()
  return style === 0 ? ms : style === 1 ? iso : iso.replace('Z', '789')
}

const escapeColumn = (text: string): string => text.replaceAll('%', '%25').replaceAll('\t', '%09').replaceAll('\n', '%0A')
const column = (value: string | number | boolean | null): string => {
  if (value === null) return ''
  if (typeof value === 'boolean') return value ? '1' : '0'
  return escapeColumn(String(value))
}

/** Who packs also cuts; of flat entries the reducer does. */
const cut = (reason: string | null): string | null => reason === null ? null : cutText(reason, 512)

/** @param previous whose tenant and job are left away when they are the same */
export function packedLine (fact: Exclude<Fact, { type: 'fault' }>, previous: Fact | null): string {
  const same = previous !== null && previous.tenant === fact.tenant && previous.job === fact.job
  const head = same ? ['', '', fact.cid] : [fact.tenant, fact.job, fact.cid]
  const line = (letter: string, ...rest: (string | number | boolean | null)[]): string => [letter, ...head, ...rest].map(column).join('\t')
  switch (fact.type) {
    case 'register': {
      const d = fact.data
      const given = (n: number): number | null => n === 0 ? null : n
      return line('r', d.items_total, d.state, given(d.initial.completed), given(d.initial.failed), given(d.initial.skipped), given(d.initial.canceled),
        d.rate_limited, d.deadline_ms, d.auto_complete, d.fail_on_deadline, d.created_wall, d.title, d.job_kind, d.item_kind, d.concurrency,
        d.metadata_json)
    }
    case 'state': return line('s', fact.data.state, fact.data.resume || null, fact.data.retry_at_wall, cut(fact.data.reason))
    case 'progress': {
      const { items_total: total, reported: r, rate_limited: limited, retry_at_wall: retryAt } = fact.data
      return line('p', total, r.completed, r.failed, r.skipped, r.canceled, limited, retryAt)
    }
    case 'heartbeat': return line('h', fact.data.ack, fact.data.worker)
    case 'control': return line('c', fact.data.action, cut(fact.data.reason))
    case 'item': {
      const d = fact.data
      return line('i', d.id, d.state, d.attempt, d.retryable, d.percent, d.duration_ms, d.created_wall, d.updated_wall, d.truncated,
        d.row_index, d.weight, d.title, d.kind, d.worker, d.error_json, d.result_json)
    }
  }
}
