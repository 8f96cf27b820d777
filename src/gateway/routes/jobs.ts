// Reading jobs and their items. A job of another tenant is exactly like one that does not exist: the tenant is in the key.

import type { FastifyInstance } from 'fastify'
import { formatCursor, parseCursor } from '../../protocol/cursor.ts'
import { HeadwayError } from '../../protocol/errors.ts'
import type { ItemView, JobMessage, JobView } from '../../protocol/messages.ts'
import { LIST_LIMIT_DEFAULT } from '../../protocol/limits.ts'
import {
  itemsQuery, type ItemsQuery, jobParams, type JobParams, jobsQuery, type JobsQuery, timelineQuery, type TimelineQuery
} from '../../protocol/schema/queries.ts'
import { itemReply, jobReply, page, timelinePage } from '../../protocol/schema/replies.ts'
import { eventMessage, itemView, jobView } from '../../protocol/view.ts'
import { identityOf } from '../guard.ts'
import type { Hub } from '../hub.ts'
import type { Reach } from '../reach.ts'
import { unknownJob } from '../seats.ts'

interface Page<T> { data: T[], next_cursor: string | null }

export function registerJobRoutes (app: FastifyInstance, { engine, hub }: { engine: Reach, hub: Hub }): void {
  const config = { scope: 'jobs:read' } as const
  const ofJob = { scope: 'jobs:read', codes: ['unknown_job'] } as const

  app.get<{ Querystring: JobsQuery }>('/v1/jobs', {
    config,
    schema: { tags: ['jobs'], summary: 'List jobs, newest first', querystring: jobsQuery, response: { 200: page(jobReply) } }
  }, async request => {
    const found = await engine.listJobs(identityOf(request).tenant_id, pageOf(request.query))
    const now = Date.now()
    const data = found.jobs.map(({ job, registration }) => jobView(job, registration, now))
    return { data, next_cursor: found.next_cursor } satisfies Page<JobView>
  })

  app.get<{ Params: JobParams }>('/v1/jobs/:id', {
    config: ofJob,
    schema: { tags: ['jobs'], summary: 'Read a job', params: jobParams, response: { 200: jobReply } }
  }, async request => {
    const { tenant_id: tenant } = identityOf(request)
    const { id } = request.params
    try {
      const read = await engine.readJob(tenant, id)
      if (read === null) throw unknownJob(id)
      return jobView(read.job, read.registration, read.now_ms)
    } catch (error) {
      // With Redis away, what a room of this gateway last heard is better than nothing.
      const known = error instanceof HeadwayError && error.code === 'redis_unavailable' ? hub.peek(tenant, id) : null
      if (known === null) throw error
      return jobView(known.job, known.registration, Date.now())
    }
  })

  app.get<{ Params: JobParams, Querystring: ItemsQuery }>('/v1/jobs/:id/items', {
    config: ofJob,
    schema: {
      tags: ['jobs'], summary: 'List a job\'s items, in the order of first sight', params: jobParams, querystring: itemsQuery, response: { 200: page(itemReply) }
    }
  }, async request => {
    const { id } = request.params
    const found = await engine.readItems(identityOf(request).tenant_id, id, pageOf(request.query))
    if (found === null) throw unknownJob(id)
    return { data: found.items.map(item => itemView(item, found.job.state)), next_cursor: found.next_cursor } satisfies Page<ItemView>
  })

  app.get<{ Params: JobParams, Querystring: TimelineQuery }>('/v1/jobs/:id/timeline', {
    config: { ...ofJob, codes: ['unknown_job', 'invalid_cursor'] },
    schema: {
      tags: ['jobs'], summary: 'List what happened, oldest first', params: jobParams, querystring: timelineQuery, response: { 200: timelinePage }
    }
  }, async request => {
    const { id } = request.params
    const { cursor, limit = LIST_LIMIT_DEFAULT } = request.query
    const position = cursor === undefined ? null : parseCursor(cursor)
    if (cursor !== undefined && position === null) throw new HeadwayError('invalid_cursor', `${JSON.stringify(cursor.slice(0, 64))} is not one that a page of events gave.`)
    const tenant = identityOf(request).tenant_id
    const asked = position?.seq ?? 0
    let read = await engine.readLog(tenant, id, asked, limit)
    // Another epoch is another history: it is told from its beginning.
    const isOther = read !== null && position !== null && read.job.epoch !== position.epoch
    if (isOther) read = await engine.readLog(tenant, id, 0, limit)
    if (read === null) throw unknownJob(id)
    const { job, events, registration, truncated } = read
    const now = Date.now()
    const last = events.at(-1)?.seq ?? job.seq
    return {
      data: events.map(event => eventMessage(event, job, registration.item_kind, now)),
      next_cursor: last < job.seq ? formatCursor({ epoch: job.epoch, seq: last }) : null,
      truncated: truncated || isOther
    } satisfies Page<JobMessage> & { truncated: boolean }
  })
}

function pageOf<S> ({ limit = LIST_LIMIT_DEFAULT, cursor, state }: { limit?: number, cursor?: string, state?: S }) {
  return { limit, ...(cursor === undefined ? {} : { cursor }), ...(state === undefined ? {} : { state }) }
}
