// One lane of the persister: reads its partitions behind their positions, writes what it read as one batch, moves the positions,
// then looks after dirty jobs. A cursor, not a consumer group: who else does the same does no harm.

import { setTimeout as delay } from 'node:timers/promises'
import type { DirtyJob, Log, Outbox, OutboxEntry, OutboxRead } from '../engine/engine.ts'
import { oldestOf, tellBacklog } from './backlog.ts'
import { createBatch, type BatchBounds, type BatchBuilder } from './batch.ts'
import { type Deliver, type Delivered, type Poison } from './deliver.ts'
import { createEndedFirst } from './ended-first.ts'
import type { Meters } from './meters.ts'
import type { Rebuild } from './rebuild.ts'
import { createRegistrations, type Registrations } from './registrations.ts'
import { jobRow, truncatedRow } from './rows.ts'
import type { PersisterSettings } from './settings.ts'
import type { Batch, EventRow } from './sink.ts'
import { tellStored } from './tell-stored.ts'

export interface LaneParams {
  outbox: Outbox
  deliver: Deliver
  rebuild: Rebuild
  settings: PersisterSettings
  meters: Meters
  log: Log
  /** Partitions of this lane that are its own now. */
  partitions: () => readonly number[]
  stop: AbortSignal
}

export interface Lane {
  /** Resolves when stopped. */
  run (): Promise<void>
}

/** What one round takes of a partition. */
interface Taken { partition: number, read: OutboxRead, to: string, bytes: number, oldest_ms: number }

const ENTRIES_MAX = 1_000
const DIRTY_MAX = 20
/** Dirty jobs get a turn at least every so many rounds, also while the outbox does not empty. */
const DIRTY_EVERY = 8
const SCALE_MIN = 1 / 64
const REDIS_RETRY_MS = 500

export function createLane ({ outbox, deliver, rebuild, settings, meters, log, partitions, stop }: LaneParams): Lane {
  const registrations = createRegistrations(outbox)
  const endedFirst = createEndedFirst({ outbox, deliver, settings, meters, log, stop })
  /** Epochs for which it was asked whether jobs were lost. */
  const asked = new Map<number, string>()
  let scale = 1
  let round = 0

  const bounds = (): BatchBounds => ({
    jobs_max: Math.max(1, Math.floor(settings.jobs_max * scale)),
    events_max: Math.max(1, Math.floor(settings.events_max * scale)),
    bytes_max: Math.max(1, Math.floor(settings.bytes_max * scale))
  })

  async function collect (batch: BatchBuilder, limits: BatchBounds): Promise<{ taken: Taken[], more: boolean }> {
    const mine = partitions()
    // An event is about thrice as long as a row as it is in the outbox; what is read too much is read again.
    const share = Math.ceil(limits.bytes_max / 2 / Math.max(1, mine.length))
    const size = { entries_max: ENTRIES_MAX, bytes_max: share }
    const reads = await Promise.all(mine.map(async partition => ({ partition, read: await outbox.readOutbox(partition, size) })))
    const others = reads.flatMap(({ partition, read }) => read !== null && asked.get(partition) !== read.epoch ? [partition] : [])
    if (others.length > 0) {
      await rebuild.ensure(others)
      for (const { partition, read } of reads) if (read !== null) asked.set(partition, read.epoch)
    }
    const taken: Taken[] = []
    let more = false
    for (let n = 0; n < reads.length; n++) {
      const { partition, read } = reads[(n + round) % reads.length] as typeof reads[number]
      if (read === null) continue
      tellBacklog(meters, partition, read)
      more ||= read.more
      await endedFirst.look(partition, read.now_ms - (oldestOf(read) ?? read.now_ms))
      const one: Taken = { partition, read, to: read.from, bytes: 0, oldest_ms: oldestOf(read) ?? read.now_ms }
      for (const entry of read.entries) {
        if (batch.full(limits)) {
          more = true
          break
        }
        await addEntry(batch, entry, registrations)
        one.to = entry.id
        one.bytes += entry.bytes
      }
      taken.push(one)
    }
    round++
    return { taken, more }
  }

  async function bury (poison: readonly Poison[], { jobs }: Batch): Promise<void> {
    for (const { row, code, detail } of poison) {
      const [tenant, id] = row.kind === 'job' ? [row.row.tenant_id, row.row.id] : [row.row.tenant_id, row.row.job_id]
      const place = row.kind === 'event' ? `${row.row.epoch}.${row.row.seq}` : row.kind === 'item' ? `item ${row.row.id}` : `rev ${row.row.rev}`
      const cid = row.kind === 'event' ? row.row.correlation_id : undefined
      log.error({ event: 'sink_refused_row', kind: row.kind, code, tenant_id: tenant, job_id: id, correlation_id: cid }, `a row was refused for good and is among the dead letters: ${detail}`)
      const data = JSON.stringify(row.row).slice(0, 16_384)
      await outbox.deadLetter(tenant, id, { entry: place, code: 'sink_refused', detail: `${code}: ${detail}`, type: `sink.${row.kind}`, data })
      if (row.kind !== 'event') continue
      const { run } = row.row
      const job = jobs.find((one) => one.tenant_id === tenant && one.id === id && one.run === run)
      await deliver({ jobs: job === undefined ? [] : [{ ...job, history_truncated: true }], items: [], events: [standIn(row.row)] })
    }
  }

  function account (delivered: Delivered, truncated: number): void {
    const { jobs_written: jobs, items_written: items, events_written: events, poison, shrunk } = delivered
    meters.wrote({ jobs, items, events, dead: poison.length, truncated })
    scale = shrunk ? Math.max(SCALE_MIN, scale / 2) : Math.min(1, scale + 1 / 16)
  }

  async function store (batch: Batch): Promise<Delivered> {
    const startedAt = Date.now()
    const delivered = await deliver(batch)
    tellStored(batch, startedAt, log)
    return delivered
  }

  /** @returns whether there is more to do at once */
  async function writeOutbox (): Promise<{ more: boolean, dirty: readonly number[] }> {
    const batch = createBatch()
    const { taken, more } = await collect(batch, bounds())
    const dirty = taken.filter(({ read }) => read.dirty_jobs > 0).map(({ partition }) => partition)
    const moving = taken.filter(({ read, to }) => to !== read.from)
    if (moving.length === 0) return { more: false, dirty }
    const started = performance.now()
    const rows = batch.build()
    const delivered = await store(rows)
    await bury(delivered.poison, rows)
    account(delivered, 0)
    await Promise.all(moving.map(async ({ partition, read, to, bytes }) => {
      if (!await outbox.outboxDone(partition, { from: read.from, to, bytes, epoch: read.epoch })) meters.restarts()
    }))
    const lag = Math.max(...moving.map(({ read, oldest_ms: oldest }) => read.now_ms - oldest))
    meters.lag(Math.max(0, lag) + performance.now() - started)
    return { more, dirty }
  }

  async function writeDirty (list: readonly number[]): Promise<boolean> {
    const limits = bounds()
    const batch = createBatch()
    const written: DirtyJob[] = []
    let truncated = 0
    for (const partition of list) {
      for (const { tenant, id } of await outbox.listDirty(partition, DIRTY_MAX)) {
        if (batch.full(limits)) break
        const dirty = await outbox.readDirty(tenant, id)
        if (dirty === null) continue
        if (addDirty(batch, dirty)) truncated++
        written.push(dirty)
      }
    }
    if (written.length === 0) return false
    const rows = batch.build()
    const delivered = await store(rows)
    await bury(delivered.poison, rows)
    account(delivered, truncated)
    let clean = 0
    for (const dirty of written) if (await outbox.dirtyDone(dirty)) clean++
    return clean > 0
  }

  async function step (): Promise<boolean> {
    const { more, dirty } = await writeOutbox()
    if (dirty.length === 0 || (more && round % DIRTY_EVERY !== 0)) return more
    return await writeDirty(dirty) || more
  }

  return {
    async run () {
      while (!stop.aborted) {
        let wait = settings.interval_ms
        try {
          if (await step()) continue
        } catch (error) {
          if (stop.aborted) return
          log.warn({ event: 'persister_round_failed', err: error }, 'a round was given up; nothing was moved, the next one reads again')
          wait = REDIS_RETRY_MS * (1 + Math.random())
        }
        await delay(wait, undefined, { signal: stop }).catch(() => {})
      }
    }
  }
}

async function addEntry (batch: BatchBuilder, entry: OutboxEntry, registrations: Registrations): Promise<void> {
  for (const { message, header, record } of entry.messages) {
    if (message.type !== 'update') continue
    const known = await registrations.of(message.job, record, message.registration)
    batch.addJob(jobRow(message.job, known.registration, { header, record: known.record }))
    for (const event of message.events) batch.addEvent(event, message.job, known.registration.item_kind)
  }
}

/** @returns whether events of it are lost */
function addDirty (batch: BatchBuilder, { found }: DirtyJob): boolean {
  if (found === null) return false
  const { job, registration, header, record, first_seq: firstSeq, events } = found
  const oldest = events[0]?.seq ?? job.seq + 1
  const lost = oldest > firstSeq
  batch.addJob(jobRow(job, registration, { header, record }, lost))
  if (lost) batch.addRow(truncatedRow(job, firstSeq, oldest - 1, job.updated_at, 'outbox_full'))
  for (const event of events) batch.addEvent(event, job, registration.item_kind)
  return lost
}

/** In the place of an event that the sink refuses. */
function standIn (row: EventRow): EventRow {
  return { ...row, correlation_id: `${row.epoch}.${row.seq}`, type: 'history_truncated', data: { from_seq: row.seq, to_seq: row.seq, reason: 'refused' } }
}
