// A Supabase project's HTTP interface over a private Postgres: real PostgREST, and in front of it the stand-in for the hosted gateway,
// which can break on purpose.

import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { installedPostgrest, isPostgrestReady, postgrestConfig } from '../../src/demo/postgrest.ts'
import { createSupabaseGateway, type RestFault } from '../../src/demo/supabase-gateway.ts'
import { makeKeys, signClaims } from '../../src/demo/supabase-keys.ts'
import { spawnGuarded } from './child.ts'
import { freePorts } from './ports.ts'
import { until } from './wait.ts'

export type { RestFault } from '../../src/demo/supabase-gateway.ts'

export interface RestGateway {
  /** What SUPABASE_URL would be. */
  readonly url: string
  /** A secret key of the new kind. */
  readonly key: string
  /** The legacy kind: a JWT of the service role. */
  readonly legacy_key: string
  /** A publishable key: role anon, or whatever the user's token says. */
  readonly publishable_key: string
  /** HS256 secret of tokens. */
  readonly jwt_secret: string
  /** For a Realtime stand-in beside it. */
  readonly server: Server
  /** A user's token with these claims. */
  token (claims: Record<string, unknown>): Promise<string>
  /** Asked for each request; null = nothing happens to it. */
  fault: ((path: string, bytes: number) => RestFault | null) | null
  stop (): Promise<void>
}

/** @param secret of tokens; absent = a new one */
export async function startRest (databaseUrl: string, secret = randomBytes(32).toString('hex')): Promise<RestGateway> {
  const dir = mkdtempSync(join(tmpdir(), 'headway-rest-'))
  const [port] = await freePorts(1) as [number]
  const file = join(dir, 'postgrest.conf')
  writeFileSync(file, postgrestConfig({ database_url: databaseUrl, jwt_secret: secret, port }))
  const child = await spawnGuarded(installedPostgrest(), [file])
  const keys = await makeKeys(secret)
  const gateway = { fault: null as RestGateway['fault'] }
  const server = createSupabaseGateway({ keys, postgrest: () => port, fault: (path, bytes) => gateway.fault?.(path, bytes) ?? null })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  await until(async () => {
    if (!child.running()) throw new Error(`PostgREST ended: ${child.output()}`)
    return await isPostgrestReady(port)
  }, { timeout_ms: 20_000, what: 'PostgREST answers' })
  return Object.assign(gateway, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    key: keys.secret,
    legacy_key: keys.service_role,
    publishable_key: keys.publishable,
    jwt_secret: secret,
    server,
    token: (claims: Record<string, unknown>) => signClaims(secret, claims),
    async stop () {
      server.closeAllConnections()
      server.close()
      await child.end()
      rmSync(dir, { recursive: true, force: true })
    }
  })
}
