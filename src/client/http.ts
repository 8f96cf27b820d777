// Reads over HTTP, for lists and for the answer that a refused WebSocket does not give.

import { HeadwayError, isErrorCode } from '../protocol/errors.ts'
import type { ErrorCode } from '../protocol/errors.ts'
import type { ItemView, JobMessage, JobView } from '../protocol/messages.ts'
import type { ItemState, JobState } from '../protocol/states.ts'
import type { TokenSource } from './platform.ts'

export interface Page<T> {
  data: T[]
  /** Give it back for the next page; null = this was the last. A page may be short, even empty, and have one. */
  next_cursor: string | null
  /** True: the job has left Redis, and this is from the database. */
  archived?: true
}

export interface PageQuery<S> {
  state?: S | undefined
  cursor?: string | undefined
  /** Default 50, at most 500. */
  limit?: number | undefined
}

export interface ReadOptions { signal?: AbortSignal }

export interface Http {
  /** Newest first; `archived`: with those that have left Redis. @throws HeadwayError */
  listJobs (query?: PageQuery<JobState> & { archived?: boolean }, options?: ReadOptions): Promise<Page<JobView>>
  /** @throws HeadwayError; code unknown_job, status 404 when there is none */
  getJob (jobId: string, options?: ReadOptions): Promise<JobView>
  /** @throws HeadwayError */
  listItems (jobId: string, query?: PageQuery<ItemState>, options?: ReadOptions): Promise<Page<ItemView>>
  /** Logged events that Redis or the database still holds, oldest first. @throws HeadwayError */
  listTimeline (jobId: string, query?: Omit<PageQuery<never>, 'state'>, options?: ReadOptions): Promise<Page<JobMessage>>
}

/** An answer that is no success; `retry_after_ms` when the server names a time. */
export class HttpError extends HeadwayError {
  override readonly status: number
  readonly retry_after_ms: number | null

  constructor (code: ErrorCode, message: string, status: number, retryAfterMs: number | null) {
    super(code, message)
    this.status = status
    this.retry_after_ms = retryAfterMs
  }
}

const CODE_OF_STATUS: Record<number, ErrorCode> = {
  401: 'unauthorized', 403: 'forbidden', 404: 'not_found', 429: 'too_many_requests', 503: 'overloaded', 504: 'timeout'
}

export function createHttp ({ base, getToken, fetch }: { base: URL, getToken: TokenSource, fetch: typeof globalThis.fetch }): Http {
  async function get<T> (path: string, query: Record<string, string | number | boolean | undefined>, { signal }: ReadOptions): Promise<T> {
    const url = new URL(path, base)
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.set(name, String(value))
    }
    const headers = { accept: 'application/json', authorization: `Bearer ${await getToken()}` }
    const response = await fetch(url, { headers, ...(signal === undefined ? {} : { signal }) })
    if (!response.ok) throw await errorOf(response, url.pathname)
    return await response.json() as T
  }

  const jobPath = (jobId: string): string => `v1/jobs/${encodeURIComponent(jobId)}`
  return {
    listJobs: (query = {}, options = {}) => get('v1/jobs', { ...query }, options),
    getJob: (jobId, options = {}) => get(jobPath(jobId), {}, options),
    listItems: (jobId, query = {}, options = {}) => get(`${jobPath(jobId)}/items`, { ...query }, options),
    listTimeline: (jobId, query = {}, options = {}) => get(`${jobPath(jobId)}/timeline`, { ...query }, options)
  }
}

async function errorOf (response: Response, path: string): Promise<HttpError> {
  const problem = await response.json().catch(() => ({})) as { code?: unknown, detail?: unknown }
  const code = typeof problem.code === 'string' && isErrorCode(problem.code)
    ? problem.code
    : CODE_OF_STATUS[response.status] ?? 'internal'
  const detail = typeof problem.detail === 'string' ? problem.detail : `GET ${path} answered ${response.status}`
  const seconds = Number(response.headers.get('retry-after') ?? NaN)
  return new HttpError(code, detail, response.status, Number.isFinite(seconds) ? seconds * 1000 : null)
}
