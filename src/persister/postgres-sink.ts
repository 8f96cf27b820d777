// The sink that speaks to Postgres itself: the same SQL functions, without a gateway in between. For those who host their own.

import { once } from 'node:events'
import pg from 'pg'
import type { ItemView } from '../protocol/messages.ts'
import { faultOf, safeMessage } from './faults.ts'
import { createInbox } from './inbox.ts'
import { createNotifyBell } from './notify-bell.ts'
import { SinkError, type ActiveJob, type PersistAnswer, type Sink } from './sink.ts'

export interface PostgresSinkOptions {
  /** postgres://user:password@host/database; the user may execute the functions of deploy/supabase, as service_role may. */
  url: string
  connections_max?: number
  connect_timeout_ms?: number
}

export function createPostgresSink ({ url, connections_max: max = 4, connect_timeout_ms: connectMs = 5_000 }: PostgresSinkOptions): Sink {
  const name = 'headway-persister'
  const pool = new pg.Pool({ connectionString: url, max, connectionTimeoutMillis: connectMs, application_name: name, keepAlive: true })
  pool.on('error', () => {}) // an idle connection that broke; the next call gets another and tells

  /** One function of one JSON argument. A call that is given up takes its connection with it, or the next would wait behind it. */
  async function call (name: string, argument: unknown, signal: AbortSignal): Promise<unknown> {
    let client: pg.PoolClient | undefined
    let gaveUp = false
    const giveUp = (): void => {
      gaveUp = true
      client?.release(new Error('given up'))
      client = undefined
    }
    try {
      signal.throwIfAborted()
      client = await pool.connect()
      if (signal.aborted) throw signal.reason
      signal.addEventListener('abort', giveUp, { once: true })
      const text = argument === undefined ? `select public.${name}() as answer` : `select public.${name}($1::jsonb) as answer`
      const { rows } = await Promise.race([
        client.query(text, argument === undefined ? [] : [JSON.stringify(argument)]),
        once(signal, 'abort').then(() => { throw new Error('given up') })
      ])
      client?.release()
      client = undefined
      return (rows[0] as { answer: unknown } | undefined)?.answer
    } catch (error) {
      client?.release(error as Error)
      throw gaveUp ? new SinkError('retry', `${name} did not answer in time`) : sinkError(error, name)
    } finally {
      signal.removeEventListener('abort', giveUp)
    }
  }

  return {
    name: 'postgres',
    inbox: createInbox({
      call: async (name, _, value, signal) => await call(name, value, signal),
      createBell: (params) => createNotifyBell({ url, connect_timeout_ms: connectMs }, params)
    }),
    version: async (signal) => await call('headway_version', undefined, signal) as number,
    persist: async (batch, signal) => await call('headway_persist', batch, signal) as PersistAnswer,
    activeJobs: async (after, limit, signal) => (await call('headway_active', { after, limit }, signal) as { jobs: ActiveJob[] }).jobs,
    itemsOf: async ({ tenant_id, job_id, run }, after, limit, signal) =>
      (await call('headway_items', { tenant_id, job_id, run, after, limit }, signal) as { items: ItemView[] }).items,
    async maintain (signal) { await call('headway_maintain', undefined, signal) },
    async stop () { await pool.end() }
  }
}

function sinkError (error: unknown, name: string): SinkError {
  const { code = '', message = '' } = error as { code?: string, message?: string }
  // SQLSTATE has five characters; what is longer is the network's.
  const state = /^[0-9A-Z]{5}$/.test(code) ? code : ''
  return new SinkError(faultOf(state, 0), `${name}: ${safeMessage(state, 0, state === '' ? code || message : message)}`, { code: state })
}
