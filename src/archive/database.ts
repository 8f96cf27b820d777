// The one place that asks the database. Every query names the reader's tenant, whoever's key it uses; for a Supabase user row-level
// security decides on top of that, by the user's own token.

import { createClient, type SupabaseClient } from '@supabase/supabase-js'
import { HeadwayError } from '../protocol/errors.ts'
import type { ArchiveOptions } from './archive.ts'
import type { Row } from './rows.ts'

export interface Reader {
  tenant_id: string
  /** A Supabase user's own; null = a token of Headway's, or nobody keeps it. */
  user_token: string | null
}

/** What a query may add to the tenant. */
export interface Query extends PromiseLike<Answer> {
  eq (column: string, value: string | number): Query
  in (column: string, values: readonly string[]): Query
  not (column: string, operator: 'is', value: null): Query
  gte (column: string, value: number): Query
  lte (column: string, value: number): Query
  or (filters: string): Query
  order (column: string, options?: { ascending: boolean }): Query
  limit (count: number): Query
  range (from: number, to: number): Query
  setHeader (name: string, value: string): Query
  abortSignal (signal: AbortSignal): Query
}

interface Answer {
  data: unknown
  count: number | null
  status: number
  error: { code?: string, message?: string } | null
}

type Table = 'bulk_jobs' | 'bulk_job_items' | 'job_events'

interface Found { rows: Row[], count: number }
type Refine = (query: Query) => Query

export interface Database {
  /** Whether the last read was answered; null = nothing was read yet. */
  answering (): boolean | null
  /**
   * @param count also tells how many rows there are without the limit
   * @throws HeadwayError archive_unavailable, token_expired
   */
  read (reader: Reader, table: Table, columns: string, refine: Refine, options?: { count?: boolean }): Promise<Found>
}

const SESSIONLESS = { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false }

export function createDatabase ({ url, service_key: serviceKey, anon_key: anonKey, timeout_ms: timeoutMs }: ArchiveOptions): Database {
  const clientOf = (key: string): SupabaseClient | null => key === '' ? null : createClient(url, key, { auth: SESSIONLESS, db: { retry: false } })
  const ofService = clientOf(serviceKey)
  const ofUsers = clientOf(anonKey)

  let answering: boolean | null = null

  const readOnce: Database['read'] = async (reader, table, columns, refine, { count: counted = false } = {}) => {
    const own = ofUsers === null ? null : reader.user_token
    const client = own === null ? ofService : ofUsers
    if (client === null) return { rows: [], count: 0 }
    const all = client.from(table).select(columns, counted ? { count: 'exact' } : {}) as unknown as Query
    const query = refine(all.eq('tenant_id', reader.tenant_id))
    if (own !== null) query.setHeader('Authorization', `Bearer ${own}`)
    const { data, count, error, status } = await query.abortSignal(AbortSignal.timeout(timeoutMs))
    if (error !== null) throw faultOf(error, status)
    // A wrong address may answer nothing and call it success.
    if (!Array.isArray(data)) throw unavailable(`${table}: HTTP ${status} without rows; something else answers at SUPABASE_URL`)
    return { rows: data as Row[], count: count ?? data.length }
  }

  return {
    answering: () => answering,
    async read (reader, table, columns, refine, options = {}) {
      try {
        const found = await readOnce(reader, table, columns, refine, options)
        answering = true
        return found
      } catch (error) {
        // That a token has expired is an answer.
        answering = error instanceof HeadwayError && error.code === 'token_expired'
        throw error
      }
    }
  }
}

function faultOf ({ code = '', message = '' }: { code?: string, message?: string }, status: number): HeadwayError {
  if (status === 401 && /jwt expired/i.test(message)) return new HeadwayError('token_expired', 'The token has expired; get a new one.')
  return unavailable(status === 0 ? 'no answer in time, or the address cannot be reached' : `HTTP ${status} ${code}`.trim())
}

/** @param why for the log: of the database's own words none, which may quote a row */
function unavailable (why: string): HeadwayError {
  return new HeadwayError('archive_unavailable', 'The database that keeps jobs after they have left Redis does not answer; repeat the request in a moment.', {
    cause: new Error(why)
  })
}
