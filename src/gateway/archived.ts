// Jobs that have left Redis, for who asks for one by its id. The archive holds ended jobs: a row that has not ended belongs to
// Redis, which has lost it, or does not know of it yet.

import type { Archive, ArchivedJob } from '../archive/archive.ts'
import type { ItemQuery } from '../engine/engine.ts'
import { type Cursor, formatCursor } from '../protocol/cursor.ts'
import { HeadwayError } from '../protocol/errors.ts'
import type { ItemView, JobMessage } from '../protocol/messages.ts'
import { isTerminal } from '../protocol/states.ts'
import type { Identity } from './auth.ts'
import { unknownJob } from './seats.ts'

export interface Page<T> { data: T[], next_cursor: string | null, archived?: true }
export type Timeline = Page<JobMessage> & { truncated: boolean }

/** Of a page that is filtered: a place among those alone. Without a filter a cursor is a place among all, in Redis and here. */
export const ARCHIVED_CURSOR = /^a\d{1,9}$/

export interface Found { archive: Archive, found: ArchivedJob }

/**
 * @param archive null = there is none
 * @throws HeadwayError unknown_job, also for what this reader may not see; redis_unavailable for a job that is about to be put back;
 *   archive_unavailable, overloaded, token_expired
 */
export async function findArchived (archive: Archive | null, identity: Identity, id: string): Promise<Found> {
  const found = await archive?.readJob(identity, id) ?? null
  if (archive === null || found === null || found.run === 0) throw unknownJob(id)
  if (isTerminal(found.job.state)) return { archive, found }
  throw new HeadwayError('redis_unavailable', `Redis has lost the job ${id}, which has not ended; a persister will put it back. Repeat the request in a moment.`)
}

/** @throws HeadwayError as findArchived; invalid_cursor when a filtered list was begun in Redis, where cursors count all items */
export async function archivedItems (from: Archive | null, identity: Identity, id: string, query: ItemQuery): Promise<Page<ItemView>> {
  const { cursor = '0', limit, state } = query
  const { archive, found } = await findArchived(from, identity, id)
  const isFiltered = state !== undefined
  if (cursor !== '0' && isFiltered !== ARCHIVED_CURSOR.test(cursor)) {
    throw new HeadwayError('invalid_cursor', `The job ${id} has left Redis since ${JSON.stringify(cursor.slice(0, 64))} was given; begin again without a cursor.`)
  }
  const place = Number(cursor.replace('a', ''))
  const items = await archive.readItems(identity, found, { place, limit, ...(isFiltered ? { state } : {}) })
  const next = `${isFiltered ? 'a' : ''}${place + items.length}`
  return { data: items, next_cursor: items.length < limit ? null : next, archived: true }
}

/** Of a run with several epochs all are told, one after the other; Redis has the last one's only. */
export async function archivedTimeline (
  from: Archive | null, identity: Identity, id: string, position: Cursor | null, limit: number
): Promise<Timeline> {
  const { archive, found } = await findArchived(from, identity, id)
  const { run, job, history_truncated: truncated } = found
  // A position of an older run of this id is none of this one.
  const isOther = position !== null && position.epoch < run
  const isFirst = position === null || isOther
  const events = await archive.readEvents(identity, found, { after: isOther ? null : position, limit })
  const [first, last] = [events[0], events.at(-1)]
  // Events are kept for less time than jobs.
  const isCut = isFirst && (first === undefined ? job.seq > 0 : first.epoch !== run || first.message.seq !== 1)
  const isEnd = last === undefined || events.length < limit || (last.epoch === job.epoch && last.message.seq >= job.seq)
  return {
    data: events.map(({ message }) => message),
    next_cursor: isEnd ? null : formatCursor({ epoch: last.epoch, seq: last.message.seq }),
    truncated: truncated || isOther || isCut,
    archived: true
  }
}
