// The sink that speaks to a Supabase project, by supabase-js. Its calls are POSTs, which supabase-js never repeats: that is the
// persister's.

import { createClient, type PostgrestError } from '@supabase/supabase-js'
import type { ItemView } from '../protocol/messages.ts'
import { faultOf, safeMessage } from './faults.ts'
import { createInbox } from './inbox.ts'
import { createRealtimeBell, type RealtimeBellOptions } from './realtime-bell.ts'
import { SinkError, type ActiveJob, type PersistAnswer, type Sink } from './sink.ts'

export interface SupabaseSinkOptions {
  /** https://<ref>.supabase.co */
  url: string
  /** Of the service role: sb_secret_… or the legacy JWT. */
  key: string
  bell?: Omit<RealtimeBellOptions, 'url' | 'key'>
}

export function createSupabaseSink ({ url, key, bell = {} }: SupabaseSinkOptions): Sink {
  const client = createClient(url, key, {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
    db: { retry: false }
  })

  async function call (name: string, args: Record<string, unknown>, signal: AbortSignal): Promise<unknown> {
    const { data, error, status } = await client.rpc(name, args).abortSignal(signal)
    if (error !== null) throw sinkError(error, status, name, signal)
    return data
  }

  return {
    name: 'supabase',
    inbox: createInbox({
      call: async (name, argument, value, signal) => await call(name, argument === null ? {} : { [argument]: value }, signal),
      createBell: (params) => createRealtimeBell({ url, key, ...bell }, params)
    }),
    async version (signal) {
      const version = await call('headway_version', {}, signal)
      if (typeof version !== 'number') throw new SinkError('configuration', 'headway_version answered no number: something else answers at SUPABASE_URL')
      return version
    },
    persist: async (batch, signal) => await call('headway_persist', { batch }, signal) as PersistAnswer,
    activeJobs: async (after, limit, signal) => rowsOf<ActiveJob>(await call('headway_active', { page: { after, limit } }, signal), 'jobs'),
    itemsOf: async ({ tenant_id, job_id, run }, after, limit, signal) =>
      rowsOf<ItemView>(await call('headway_items', { page: { tenant_id, job_id, run, after, limit } }, signal), 'items'),
    async maintain (signal) { await call('headway_maintain', {}, signal) },
    async stop () {}
  }
}

/** A wrong address may answer nothing and call it success: no job must not be read out of that. */
function rowsOf<T> (answer: unknown, list: string): T[] {
  const rows = typeof answer === 'object' && answer !== null ? (answer as Record<string, unknown>)[list] : undefined
  if (!Array.isArray(rows)) throw new SinkError('configuration', `the answer has no ${list}: something else answers at SUPABASE_URL`)
  return rows as T[]
}

function sinkError (error: Pick<PostgrestError, 'code' | 'message'>, status: number, name: string, signal: AbortSignal): SinkError {
  const code = error.code ?? ''
  if (status === 0) return new SinkError('retry', `${name}: ${signal.aborted ? 'no answer in time' : 'the project cannot be reached'}`)
  const fault = code === '' && /invalid api key/i.test(error.message ?? '') ? 'configuration' : faultOf(code, status)
  return new SinkError(fault, `${name}: ${safeMessage(code, status, error.message ?? '')}`, { code, status })
}
