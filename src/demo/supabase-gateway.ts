// STAND-IN for the gateway of a Supabase project, for `npm start` and the tests, never for production: `/rest/v1` in front of a real
// PostgREST. Like the hosted one it asks for a key, and swaps keys of the new kind for tokens. It can break on purpose.

import { createServer, request as ask, type IncomingMessage, type OutgoingHttpHeaders, type Server, type ServerResponse } from 'node:http'
import type { SupabaseKeys } from './supabase-keys.ts'

/**
 * What happens to a request. An answer: it does not reach the database. lost: the database did it, and nobody hears of it. hang: no
 * answer at all. empty: a 404 without a body, which some clients take for success.
 */
export type RestFault = { status: number, body?: string, type?: string } | 'reset' | 'lost' | 'hang' | 'empty'

export interface SupabaseGatewayOptions {
  keys: SupabaseKeys
  /** Of PostgREST, on the loopback interface; null = not there yet. */
  postgrest: () => number | null
  /** Asked for each request; null = nothing happens to it. */
  fault?: (path: string, bytes: number) => RestFault | null
}

const REST = '/rest/v1/'
/** What belongs to one connection. */
const HOP_HEADERS = ['connection', 'keep-alive', 'transfer-encoding', 'content-length']

/** @returns not listening yet */
export function createSupabaseGateway ({ keys, postgrest, fault = () => null }: SupabaseGatewayOptions): Server {
  /** What each key is swapped for. */
  const tokenOf = new Map([
    [keys.secret, keys.service_role], [keys.service_role, keys.service_role], [keys.publishable, keys.anon], [keys.anon, keys.anon]
  ])

  function serve (incoming: IncomingMessage, response: ServerResponse): void {
    const { url: path = '', method, headers } = incoming
    const isPreflight = method === 'OPTIONS'
    const key = headers['apikey']
    const own = tokenOf.get(String(key)) ?? null
    if (own === null && !isPreflight) return answer(response, 401, '{"message":"Invalid API key"}')
    if (!path.startsWith(REST)) return answer(response, 404, '')
    const trouble = fault(path, Number(headers['content-length'] ?? 0))
    if (trouble === 'hang') return void incoming.resume()
    if (trouble === 'reset') return void response.destroy()
    if (trouble === 'empty') return answer(response, 404, '')
    if (typeof trouble === 'object' && trouble !== null) return answer(response, trouble.status, trouble.body ?? '', trouble.type)
    const port = postgrest()
    if (port === null) return answer(response, 503, '{"code":"PGRST001","message":"The database is starting"}')
    const bearer = headers.authorization?.replace(/^Bearer /i, '')
    const token = bearer === undefined || bearer === key ? own : bearer
    const asked = ask({
      host: '127.0.0.1',
      port,
      method,
      path: path.slice(REST.length - 1),
      headers: { ...headers, host: `127.0.0.1:${port}`, ...(token === null ? {} : { authorization: `Bearer ${token}` }) }
    }, reply => {
      if (trouble === 'lost') return void reply.resume().once('end', () => response.destroy())
      response.writeHead(reply.statusCode ?? 502, passed(reply.headers))
      reply.pipe(response)
    })
    asked.on('error', () => answer(response, 502, '<html>bad gateway</html>', 'text/html'))
    response.on('close', () => { if (trouble !== 'lost') asked.destroy() })
    incoming.pipe(asked)
  }

  return createServer(serve)
}

function passed (headers: OutgoingHttpHeaders): OutgoingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_HEADERS.includes(name)))
}

function answer (response: ServerResponse, status: number, body: string, type = 'application/json'): void {
  if (response.headersSent) return void response.destroy()
  response.writeHead(status, body === '' ? {} : { 'content-type': type }).end(body)
}
