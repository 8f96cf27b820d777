// A job's packed state as one text, which the database keeps so that the job can be put back when Redis has lost it; and the way
// back, which goes through the items: they are what the database is sure of.

import { HeadwayError } from '../protocol/errors.ts'
import { isTerminal } from '../protocol/states.ts'
import type { JobState } from '../protocol/states.ts'
import { decodeHeader } from './packed.ts'

/** @param gap_ms of its partition: the header's service times are only good with it */
export function packResume (parts: { gap_ms: number, record: string, header: string }): string {
  return `1\t${parts.gap_ms}\n${parts.record}\n${parts.header}`
}

/** How many items of each kind were put back. */
export type RestoredItems = Record<'completed' | 'failed' | 'retryable' | 'skipped' | 'canceled' | 'processing' | 'seen', number>

export interface RestoredHeader { header: string, record: string, state: JobState, control: string, seq: number }

// Columns of a header (docs/engine.md §4), from 0 = format.
const [LID, FLAGS, RETRY_AT, COMPLETED, PARTIAL, REPORTED, PROC_MS, PROC_SINCE] = [1, 6, 7, 9, 16, 17, 21, 22]
const [LIFE, UPDATED, STATE_SINCE, IDLE_SINCE, CONTROL, STORE] = [23, 24, 25, 26, 27, 30]
const COLUMNS = 32

/**
 * The header that a job goes on with: its counters are those of the items that are back, never shown lower than they were; its clocks
 * begin now; its log is empty, its seq goes on.
 *
 * @param now service ms of the partition it goes to
 * @returns null when there is nothing to go on with: it had ended, or the text is not readable
 * @throws HeadwayError newer_format
 */
export function resumedHeader (text: string, items: RestoredItems, now: number, gapMs: number): RestoredHeader | null {
  const [first = '', record = '', header = ''] = text.split('\n')
  const [format, oldGap] = first.split('\t')
  if (format !== '1') throw new HeadwayError('newer_format', `a row to restore has format ${format}; this build reads format 1: upgrade this persister`)
  const at = header.split('\t')
  if (record === '' || at.length !== COLUMNS) return null
  const job = decodeHeader(header, { tenant: '', id: '', gap_ms: Number(oldGap), partition_epoch: 0 })
  if (isTerminal(job.state)) return null

  const [completed, failed, skipped, canceled] = (['completed', 'failed', 'skipped', 'canceled'] as const).map((name) => {
    const before = Math.max(job.reported[name] ?? 0, job.initial[name] + job.counted[name])
    return job.initial[name] + items[name] < before ? before : job.reported[name]
  })
  const wallShift = job.gap_ms - gapMs
  const stretch = job.proc_since === null ? 0 : Math.max(0, job.updated_at - job.gap_ms - job.proc_since)
  at[LID] = '0-0'
  at[FLAGS] = at[FLAGS]!.replace(/[SWX]/g, '')
  at[RETRY_AT] = job.retry_at === null ? '' : String(job.retry_at + wallShift)
  const counted = [items.completed, items.failed, items.retryable, items.skipped, items.canceled, items.processing, 0]
  at.splice(COMPLETED, counted.length, ...counted.map(String))
  at[PARTIAL] = '0'
  at[REPORTED] = [completed, failed, skipped, canceled].every((value) => value === null)
    ? ''
    : [completed, failed, skipped, canceled].map((value) => value ?? '').join()
  at[PROC_MS] = String(job.proc_ms + stretch)
  at[PROC_SINCE] = job.proc_since === null ? '' : String(now)
  at[LIFE] = String(now)
  at[UPDATED] = String(now + gapMs)
  at[STATE_SINCE] = String(now)
  at[IDLE_SINCE] = items.processing > 0 || (job.idle_since === null && job.counted.processing === 0) ? '' : String(now)
  if (job.control.at !== null) at[CONTROL] = at[CONTROL]!.replace(/[^,]*(,[^,]*)$/, `${now}$1`)
  at[STORE] = `0,0,0,0,${items.seen},0`
  return { header: at.join('\t'), record, state: job.state, control: job.control.id ?? '', seq: job.seq }
}
