// Reading jobs and their items: from Redis, or, when it does not have the job any more, from the archive. A job of another tenant is
// exactly like one that does not exist: the tenant is in the key.

import type { FastifyInstance } from 'fastify'
import type { Archive } from '../../archive/archive.ts'
import { type Cursor, formatCursor, parseCursor } from '../../protocol/cursor.ts'
import { HeadwayError } from '../../protocol/errors.ts'
import type { ItemView } from '../../protocol/messages.ts'
import { LIST_LIMIT_DEFAULT } from '../../protocol/limits.ts'
import {
  itemsQuery, type ItemsQuery, jobParams, type JobParams, jobsQuery, type JobsQuery, timelineQuery, type TimelineQuery
} from '../../protocol/schema/queries.ts'
import { itemPage, jobReply, page, timelinePage } from '../../protocol/schema/replies.ts'
import { eventMessage, itemView, jobView } from '../../protocol/view.ts'
import { ARCHIVED_CURSOR, archivedItems, archivedTimeline, findArchived, type Page, type Timeline } from '../archived.ts'
import type { Identity } from '../auth.ts'
import { identityOf } from '../guard.ts'
import type { Hub } from '../hub.ts'
import { listJobs } from '../job-list.ts'
import type { Reach } from '../reach.ts'

interface Sources {
  engine: Reach
  hub: Hub
  /** Null = what Redis does not have is unknown. */
  archive: Archive | null
}

export function registerJobRoutes (app: FastifyInstance, sources: Sources): void {
  const { engine, hub, archive } = sources
  const codes = ['archive_unavailable', 'overloaded'] as const
  const config = { scope: 'jobs:read', codes } as const
  const ofJob = { scope: 'jobs:read', codes: ['unknown_job', ...codes] } as const

  app.get<{ Querystring: JobsQuery }>('/v1/jobs', {
    config,
    schema: { tags: ['jobs'], summary: 'List jobs, newest first', querystring: jobsQuery, response: { 200: page(jobReply) } }
  }, async request => {
    const { archived = false, ...query } = request.query
    return await listJobs(engine, archived ? archive : null, identityOf(request), pageOf(query))
  })

  app.get<{ Params: JobParams }>('/v1/jobs/:id', {
    config: ofJob,
    schema: { tags: ['jobs'], summary: 'Read a job', params: jobParams, response: { 200: jobReply } }
  }, async request => {
    const identity = identityOf(request)
    const { tenant_id: tenant } = identity
    const { id } = request.params
    const read = await engine.readJob(tenant, id).catch((error: unknown) => {
      // With Redis away, what a room of this gateway last heard is better than nothing.
      const known = error instanceof HeadwayError && error.code === 'redis_unavailable' ? hub.peek(tenant, id) : null
      if (known === null) throw error
      return { ...known, now_ms: Date.now() }
    })
    if (read !== null) return jobView(read.job, read.registration, read.now_ms)
    return (await findArchived(archive, identity, id)).found.job
  })

  app.get<{ Params: JobParams, Querystring: ItemsQuery }>('/v1/jobs/:id/items', {
    config: { ...ofJob, codes: [...ofJob.codes, 'invalid_cursor'] },
    schema: {
      tags: ['jobs'], summary: 'List a job\'s items, in the order of first sight', params: jobParams, querystring: itemsQuery, response: { 200: itemPage }
    }
  }, async request => {
    const { id } = request.params
    const identity = identityOf(request)
    const query = pageOf(request.query)
    const found = ARCHIVED_CURSOR.test(query.cursor ?? '') ? null : await engine.readItems(identity.tenant_id, id, query)
    if (found === null) return await archivedItems(archive, identity, id, query)
    return { data: found.items.map(item => itemView(item, found.job.state)), next_cursor: found.next_cursor } satisfies Page<ItemView>
  })

  app.get<{ Params: JobParams, Querystring: TimelineQuery }>('/v1/jobs/:id/timeline', {
    config: { ...ofJob, codes: [...ofJob.codes, 'invalid_cursor'] },
    schema: {
      tags: ['jobs'], summary: 'List what happened, oldest first', params: jobParams, querystring: timelineQuery, response: { 200: timelinePage }
    }
  }, async request => {
    const { id } = request.params
    const { cursor, limit = LIST_LIMIT_DEFAULT } = request.query
    const position = cursor === undefined ? null : parseCursor(cursor)
    if (cursor !== undefined && position === null) throw new HeadwayError('invalid_cursor', `${JSON.stringify(cursor.slice(0, 64))} is not one that a page of events gave.`)
    const identity = identityOf(request)
    return await liveTimeline(engine, identity, id, position, limit) ?? await archivedTimeline(archive, identity, id, position, limit)
  })
}

async function liveTimeline (
  engine: Reach, { tenant_id: tenant }: Identity, id: string, position: Cursor | null, limit: number
): Promise<Timeline | null> {
  let read = await engine.readLog(tenant, id, position?.seq ?? 0, limit)
  // Another epoch is another history: it is told from its beginning.
  const isOther = read !== null && position !== null && read.job.epoch !== position.epoch
  if (isOther) read = await engine.readLog(tenant, id, 0, limit)
  if (read === null) return null
  const { job, events, registration, truncated } = read
  const now = Date.now()
  const last = events.at(-1)?.seq ?? job.seq
  return {
    data: events.map(event => eventMessage(event, job, registration.item_kind, now)),
    next_cursor: last < job.seq ? formatCursor({ epoch: job.epoch, seq: last }) : null,
    truncated: truncated || isOther
  }
}

function pageOf<S> ({ limit = LIST_LIMIT_DEFAULT, cursor, state }: { limit?: number, cursor?: string, state?: S }) {
  return { limit, ...(cursor === undefined ? {} : { cursor }), ...(state === undefined ? {} : { state }) }
}
