// A gateway whose ended jobs are in a real Postgres behind a real PostgREST, as they are in a Supabase project.

import { pino } from 'pino'
import { SignJWT } from 'jose'
import type { Test } from 'tap'
import { createPersister } from '../../src/persister/persister.ts'
import { createSupabaseSink } from '../../src/persister/supabase-sink.ts'
import { call, SECRET, startGateway, tokenOf, type Reply, type Running } from '../gateway/support.ts'
import { QUICK } from '../persister/support.ts'
import { startPostgres, type PostgresServer } from '../support/postgres.ts'
import { startRedis } from '../support/redis.ts'
import { startRest, type RestGateway } from '../support/rest.ts'
import { ROLES, SCHEMA } from '../support/schema.ts'
import { until } from '../support/wait.ts'

export interface House {
  postgres: PostgresServer
  rest: RestGateway
  /** @param env beyond the project's address and keys */
  gateway (t: Test, env?: Record<string, string>): Promise<Archiving>
}

export interface Archiving extends Running {
  /** Writes what has happened so far to the database, for as long as the test runs; ended jobs leave Redis then. */
  persist (): Promise<void>
  /** Nothing is written any more, and nobody but gateways asks the database. */
  rest (): Promise<void>
  /** Resolves when Redis does not have the job any more. */
  gone (id: string, tenant?: string): Promise<void>
  get (path: string, token: string): Promise<Reply>
}

export async function startHouse (t: Test): Promise<House> {
  const postgres = await startPostgres()
  t.teardown(() => postgres.stop())
  await postgres.query(ROLES)
  await postgres.query(SCHEMA)
  const rest = await startRest(postgres.url, SECRET)
  t.teardown(() => rest.stop())
  const redis = await startRedis()
  t.teardown(() => redis.stop())

  return {
    postgres,
    rest,
    async gateway (t, env = {}) {
      const keys = { SUPABASE_URL: rest.url, SUPABASE_SERVICE_ROLE_KEY: rest.key, SUPABASE_ANON_KEY: rest.publishable_key }
      const running = await startGateway(t, redis, { ...keys, HEADWAY_PARTITIONS: '2', HEADWAY_RETENTION_MS: '200', ...env })
      const sink = createSupabaseSink({ url: rest.url, key: rest.key })
      const persister = createPersister({ engine: running.engine, sink, log: pino({ level: 'silent' }), settings: QUICK })
      t.teardown(async () => {
        rest.fault = null
        await persister.stop()
      })
      return {
        ...running,
        persist: () => persister.start(),
        rest: () => persister.stop(),
        gone: async (id, tenant = 'acme') => {
          await until(async () => await running.engine.readJob(tenant, id) === null, { what: `${tenant}/${id} leaves Redis` })
        },
        get: (path, token) => call(`${running.url}${path}`, 'GET', token)
      }
    }
  }
}

/** A session of Supabase's own auth, as far as the database and Headway look at it. */
export async function sessionOf (tenant: string, user = 'user-1'): Promise<string> {
  return new SignJWT({ role: 'authenticated', aud: 'authenticated', app_metadata: { tenant_id: tenant } }).setSubject(user)
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' }).setIssuedAt().setExpirationTime('10m').sign(new TextEncoder().encode(SECRET))
}

export const readerOf = (tenant: string): Promise<string> => tokenOf({ tenant, scope: 'jobs:read' })
