// One batch into the sink, whatever that takes: tried again, halved, its poison put aside. Resolves when every row is stored or
// among the dead letters; rejects only when told to stop. Nothing of a row goes into a log line.

import { setTimeout as delay } from 'node:timers/promises'
import type { Log } from '../engine/engine.ts'
import { createBackoff } from './backoff.ts'
import { checkAnswer } from './faults.ts'
import type { Meters } from './meters.ts'
import { SinkError } from './sink.ts'
import type { Batch, EventRow, ItemRow, JobRow, Sink } from './sink.ts'
import type { PersisterSettings } from './settings.ts'

export type Row = { kind: 'job', row: JobRow } | { kind: 'item', row: ItemRow } | { kind: 'event', row: EventRow }

export interface Poison { row: Row, code: string, detail: string }

export interface Delivered {
  jobs_written: number
  items_written: number
  events_written: number
  /** Rows that the sink can never take, to become dead letters. */
  poison: Poison[]
  /** True when less had to be sent at once. */
  shrunk: boolean
}

export interface DeliverParams { sink: Sink, settings: PersisterSettings, log: Log, meters: Meters, stop: AbortSignal }

/** So many refused rows and none stored: it is not the rows. */
const ALL_POISON = 20
const TIMEOUTS_BEFORE_HALVING = 2

export type Deliver = (batch: Batch) => Promise<Delivered>

export function createDeliver ({ sink, settings, log, meters, stop }: DeliverParams): Deliver {
  const backoff = createBackoff(settings.retry_first_ms, settings.retry_max_ms)

  async function once (batch: Batch, sum: Delivered): Promise<SinkError | null> {
    const started = performance.now()
    try {
      const answer = checkAnswer(await sink.persist(batch, AbortSignal.any([stop, AbortSignal.timeout(settings.timeout_ms)])), batch)
      sum.jobs_written += answer.jobs_written
      sum.items_written += answer.items_written
      sum.events_written += answer.events_written
      meters.calls('ok', performance.now() - started)
      return null
    } catch (error) {
      if (stop.aborted) throw stop.reason
      const fault = error instanceof SinkError ? error : new SinkError('retry', error instanceof Error ? error.name : 'unknown error')
      meters.calls(fault.fault, performance.now() - started)
      return fault
    }
  }

  async function waitFor (fault: SinkError, rows: number, cid: string | undefined): Promise<void> {
    const mend = fault.fault === 'configuration'
    const ms = mend ? settings.configuration_retry_ms : backoff.next()
    const fields = { sink: sink.name, code: fault.code, status: fault.status, rows, correlation_id: cid, wait_ms: ms }
    if (mend) log.error({ event: 'sink_misconfigured', ...fields }, `the sink cannot be written to until this is mended: ${fault.message}`)
    else log.warn({ event: 'sink_retry', ...fields }, `the sink did not take a batch, trying again: ${fault.message}`)
    meters.failing('outbound', fault.fault)
    await delay(ms, undefined, { signal: stop })
  }

  /** @returns whether anything of it was stored */
  async function send (batch: Batch, sum: Delivered): Promise<boolean> {
    const rows = batch.jobs.length + batch.items.length + batch.events.length
    if (rows === 0) return false
    for (let timeouts = 0; ;) {
      const fault = await once(batch, sum)
      if (fault === null) {
        backoff.reset()
        meters.failing('outbound', null)
        return true
      }
      if (fault.code === '57014') timeouts++
      const halve = fault.fault === 'shrink' || fault.fault === 'poison' || timeouts >= TIMEOUTS_BEFORE_HALVING
      if (halve && fault.fault !== 'poison') sum.shrunk = true
      if (halve && rows > 1) {
        const [one, other] = halves(batch)
        const first = await send(one, sum)
        return await send(other, sum) || first
      }
      if (fault.fault === 'poison') {
        sum.poison.push({ row: onlyRow(batch), code: fault.code, detail: fault.message })
        return false
      }
      // One row is never too large by itself: something in between allows next to nothing.
      const tooSmall = fault.fault === 'shrink'
      await waitFor(tooSmall ? new SinkError('configuration', `a single row is refused as too large: ${fault.message}`, fault) : fault, rows, batch.events[0]?.correlation_id)
    }
  }

  return async (batch) => {
    while (true) {
      const sum: Delivered = { jobs_written: 0, items_written: 0, events_written: 0, poison: [], shrunk: false }
      const stored = await send(batch, sum)
      if (stored || sum.poison.length < ALL_POISON) return sum
      const { code, detail } = sum.poison[0] as Poison
      await waitFor(new SinkError('configuration', `every row of a batch is refused, so it is not the rows: ${detail}`, { code }), sum.poison.length, batch.events[0]?.correlation_id)
    }
  }
}

/** By rows: events and items first, so that a row never tells of more than its history holds. */
export function halves (batch: Batch): [Batch, Batch] {
  const rows: Row[] = [
    ...batch.events.map((row): Row => ({ kind: 'event', row })),
    ...batch.items.map((row): Row => ({ kind: 'item', row })),
    ...batch.jobs.map((row): Row => ({ kind: 'job', row }))
  ]
  const middle = rows.length >> 1
  return [batchOf(rows.slice(0, middle)), batchOf(rows.slice(middle))]
}

export function batchOf (rows: readonly Row[]): Batch {
  const batch: Batch = { jobs: [], items: [], events: [] }
  for (const one of rows) {
    if (one.kind === 'job') batch.jobs.push(one.row)
    else if (one.kind === 'item') batch.items.push(one.row)
    else batch.events.push(one.row)
  }
  return batch
}

function onlyRow (batch: Batch): Row {
  const [job] = batch.jobs
  if (job !== undefined) return { kind: 'job', row: job }
  const [item] = batch.items
  if (item !== undefined) return { kind: 'item', row: item }
  return { kind: 'event', row: batch.events[0] as EventRow }
}
