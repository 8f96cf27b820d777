// Reads over HTTP: the list of jobs and pages of items. What changes live comes over the client's socket.

import type { ItemView, JobView } from '../protocol/messages.ts'
import type { ItemState } from '../protocol/states.ts'
import { readToken } from './token.ts'

export interface Page<T> { data: T[], next_cursor: string | null }

/** What a server or the way to it answered, in a sentence for the user. */
export class ApiError extends Error {
  override name = 'ApiError'
  /** HTTP status; 0 = no answer. */
  readonly status: number

  constructor (status: number, message: string, options?: ErrorOptions) {
    super(message, options)
    this.status = status
  }
}

/** @throws ApiError */
export async function readJobs (cursor: string | null, signal: AbortSignal): Promise<Page<JobView>> {
  return await read<Page<JobView>>('/v1/jobs', { cursor }, signal)
}

/** @throws ApiError */
export async function readItems (
  jobId: string, state: ItemState | null, cursor: string | null, signal: AbortSignal
): Promise<Page<ItemView>> {
  return await read<Page<ItemView>>(`/v1/jobs/${encodeURIComponent(jobId)}/items`, { state, cursor }, signal)
}

async function read<T> (path: string, query: Record<string, string | null>, signal: AbortSignal): Promise<T> {
  const given = Object.entries(query).filter((pair): pair is [string, string] => pair[1] !== null)
  const address = given.length === 0 ? path : `${path}?${new URLSearchParams(given)}`
  let response: Response
  try {
    response = await fetch(address, { headers: { authorization: `Bearer ${readToken() ?? ''}` }, signal })
  } catch (error) {
    if (signal.aborted) throw error
    throw new ApiError(0, 'Headway does not answer. This page tries again by itself.', { cause: error })
  }
  if (response.ok) return await response.json() as T
  throw new ApiError(response.status, await describeProblem(response))
}

async function describeProblem (response: Response): Promise<string> {
  if (response.status === 401) return 'The access token is missing, wrong or expired.'
  if (response.status === 403) return 'This token does not allow that.'
  try {
    const problem = await response.json() as { title?: string, detail?: string }
    return problem.detail ?? problem.title ?? `HTTP ${response.status}`
  } catch {
    return `HTTP ${response.status}`
  }
}
