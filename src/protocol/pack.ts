// Worker events into the packed lines of docs/engine.md §3. Everything is checked here, before it is sent:
// a refused line in Redis would be found by its sender only among the dead letters. Unknown fields are dropped.

import { HeadwayError } from './errors.ts'
import {
  cutJson, flagColumn, idColumn, metadataColumn, numberColumn, percentColumn, refuseField, textColumn, textField, timeColumn,
  wholeColumn, wordColumn
} from './fields.ts'
import { isItemKind } from './ids.ts'
import {
  CORRELATION_ID_BYTES_MAX, ENTRY_BYTES_MAX, ENTRY_EVENTS_MAX, EVENT_BYTES_MAX, LABEL_BYTES_MAX, REASON_BYTES_MAX, TITLE_BYTES_MAX
} from './limits.ts'
import { CONTROL_ACTIONS, ITEM_STATES, JOB_STATES } from './states.ts'
import { cutText, escapeText, isLonger, utf8Length } from './text.ts'
import type { WorkerEvent } from './worker-events.ts'

export { escapeText, unescapeText } from './text.ts'
export { parseTimestamp } from './timestamp.ts'

/** Format number of a batch, its first line. */
export const BATCH_FORMAT = '1'

type Data<T extends WorkerEvent['type']> = Extract<WorkerEvent, { type: T }>['data']

const REGISTER_STATES = ['pending', 'running']
const STATE_WORDS = [...JOB_STATES, 'rate_limited']

/**
 * One line, without its newline.
 * @param previous event of the line before in the same batch: the same tenant and job are not repeated
 * @throws HeadwayError invalid_field, unknown_type, too_deep, event_too_large; none is worth a retry
 */
export function packEvent (event: WorkerEvent, previous?: { tenant: string, job: string }): string {
  const { type, tenant, job } = event
  let address = '\t\t'
  if (previous === undefined || previous.job !== job || previous.tenant !== tenant) {
    address = `\t${idColumn(type, 'tenant', tenant)}\t${idColumn(type, 'job', job)}`
  }
  const data: unknown = event.data
  if (typeof data !== 'object' || data === null) refuseField(type, 'data', data, 'an object')
  const line = packData(event, `${address}\t${cidColumn(type, event.cid)}\t`)
  if (isLonger(line, EVENT_BYTES_MAX)) {
    throw new HeadwayError('event_too_large', `${type} of job ${job}: ${utf8Length(line)} bytes, at most ${EVENT_BYTES_MAX}`)
  }
  return line
}

/**
 * A whole batch, the value of field `b` of an entry.
 * @throws HeadwayError as packEvent, and entry_too_large beyond 64 events or 65,536 bytes
 */
export function packBatch (events: readonly WorkerEvent[]): string {
  if (events.length === 0) throw new HeadwayError('malformed_entry', 'an entry holds at least one event')
  if (events.length > ENTRY_EVENTS_MAX) {
    throw new HeadwayError('entry_too_large', `${events.length} events, at most ${ENTRY_EVENTS_MAX} an entry; send several`)
  }
  let batch = BATCH_FORMAT
  let previous: WorkerEvent | undefined
  for (const event of events) {
    batch += '\n' + packEvent(event, previous)
    previous = event
  }
  if (isLonger(batch, ENTRY_BYTES_MAX)) {
    throw new HeadwayError('entry_too_large', `${utf8Length(batch)} bytes, at most ${ENTRY_BYTES_MAX} an entry; send several`)
  }
  return batch
}

function packData (event: WorkerEvent, head: string): string {
  switch (event.type) {
    case 'item.update': return 'i' + head + itemColumns(event.data)
    case 'job.progress': return 'p' + head + progressColumns(event.data)
    case 'job.state': return 's' + head + stateColumns(event.data)
    case 'job.heartbeat': return 'h' + head + heartbeatColumns(event.data)
    case 'job.register': return 'r' + head + registerColumns(event.data)
    case 'job.control': return 'c' + head + controlColumns(event.data)
    default: throw new HeadwayError('unknown_type', `${String((event as { type: unknown }).type)} is no type of event`)
  }
}

function cidColumn (type: string, cid: unknown): string {
  if (cid === undefined || cid === null) return ''
  const text = textField(type, 'cid', cid)
  if (isLonger(text, CORRELATION_ID_BYTES_MAX)) refuseField(type, 'cid', cid, `at most ${CORRELATION_ID_BYTES_MAX} bytes`)
  return escapeText(text)
}

function counterColumns (type: string, data: Data<'job.progress'>): string {
  return `${wholeColumn(type, 'items_completed', data.items_completed)}\t${wholeColumn(type, 'items_failed', data.items_failed)}\t` +
    `${wholeColumn(type, 'items_skipped', data.items_skipped)}\t${wholeColumn(type, 'items_canceled', data.items_canceled)}`
}

function registerColumns (data: Data<'job.register'>): string {
  const type = 'job.register'
  const kind = data.item_kind ?? ''
  if (kind !== '' && !isItemKind(kind)) refuseField(type, 'item_kind', kind, 'lower case letters, digits and _, but not `job`')
  return `${wholeColumn(type, 'items_total', data.items_total)}\t${wordColumn(type, 'state', data.state, REGISTER_STATES)}\t` +
    `${counterColumns(type, data)}\t${flagColumn(type, 'rate_limited', data.rate_limited)}\t` +
    `${wholeColumn(type, 'processing_deadline_ms', data.processing_deadline_ms)}\t` +
    `${flagColumn(type, 'auto_complete', data.auto_complete)}\t${flagColumn(type, 'fail_on_deadline', data.fail_on_deadline)}\t` +
    `${timeColumn(type, 'created_at', data.created_at)}\t${textColumn(type, 'title', data.title, TITLE_BYTES_MAX)}\t` +
    `${textColumn(type, 'job_kind', data.job_kind, LABEL_BYTES_MAX)}\t${kind}\t` +
    `${wholeColumn(type, 'concurrency', data.concurrency)}\t${metadataColumn(type, data.metadata)}`
}

function stateColumns (data: Data<'job.state'>): string {
  const type = 'job.state'
  if (!STATE_WORDS.includes(data.state)) refuseField(type, 'state', data.state, `one of ${STATE_WORDS.join(', ')}`)
  return `${data.state}\t${flagColumn(type, 'resume', data.resume)}\t${timeColumn(type, 'retry_at', data.retry_at)}\t` +
    textColumn(type, 'reason', data.reason, REASON_BYTES_MAX)
}

function progressColumns (data: Data<'job.progress'>): string {
  const type = 'job.progress'
  return `${wholeColumn(type, 'items_total', data.items_total)}\t${counterColumns(type, data)}\t` +
    `${flagColumn(type, 'rate_limited', data.rate_limited)}\t${timeColumn(type, 'retry_at', data.retry_at)}`
}

function heartbeatColumns (data: Data<'job.heartbeat'>): string {
  const type = 'job.heartbeat'
  return `${textColumn(type, 'ack', data.ack, LABEL_BYTES_MAX)}\t${textColumn(type, 'worker', data.worker, LABEL_BYTES_MAX)}`
}

function controlColumns (data: Data<'job.control'>): string {
  const type = 'job.control'
  if (!CONTROL_ACTIONS.includes(data.action)) refuseField(type, 'action', data.action, `one of ${CONTROL_ACTIONS.join(', ')}`)
  return `${data.action}\t${textColumn(type, 'reason', data.reason, REASON_BYTES_MAX)}`
}

function itemColumns (data: Data<'item.update'>): string {
  const type = 'item.update'
  const title = textField(type, 'title', data.title)
  const titleCut = cutText(title, TITLE_BYTES_MAX)
  let truncated = titleCut.length < title.length
  let [error, result] = ['', '']
  if (data.error !== undefined && data.error !== null) {
    const { json, cut } = cutJson(type, 'error', data.error)
    error = escapeText(json)
    truncated ||= cut
  }
  if (data.result !== undefined && data.result !== null) {
    const { json, cut } = cutJson(type, 'result', data.result)
    result = escapeText(json)
    truncated ||= cut
  }
  const duration = numberColumn(type, 'duration_ms', data.duration_ms, 0)
  return `${idColumn(type, 'id', data.id)}\t${wordColumn(type, 'state', data.state, ITEM_STATES)}\t` +
    `${wholeColumn(type, 'attempt', data.attempt, 1)}\t${flagColumn(type, 'retryable', data.retryable)}\t` +
    `${percentColumn(type, 'percent_complete', data.percent_complete)}\t${duration === '' ? '' : Math.round(Number(duration))}\t` +
    `${timeColumn(type, 'created_at', data.created_at)}\t${timeColumn(type, 'updated_at', data.updated_at)}\t${truncated ? '1' : ''}\t` +
    `${wholeColumn(type, 'row_index', data.row_index)}\t${numberColumn(type, 'weight', data.weight)}\t${escapeText(titleCut)}\t` +
    `${textColumn(type, 'kind', data.kind, LABEL_BYTES_MAX)}\t${textColumn(type, 'worker', data.worker, LABEL_BYTES_MAX)}\t` +
    `${error}\t${result}`
}
