// Probes and metrics of a persister, on a port of their own. A sink that is away is no reason to restart it: degraded, not down.

import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { HeadwayError } from '../protocol/errors.ts'
import type { Persister } from './persister.ts'

export interface Probes {
  /** @returns the port. @throws HeadwayError invalid_config when it is taken */
  start (host: string, port: number): Promise<number>
  stop (): Promise<void>
}

export interface ProbesParams {
  /** Undefined while it waits for Redis. */
  persister: () => Persister | undefined
  ping: () => Promise<boolean>
  /** Told by /readyz besides. */
  details?: () => object
}

export function createProbes ({ persister, ping, details = () => ({}) }: ProbesParams): Probes {
  const server = createServer((request, response) => {
    const path = (request.url ?? '').split('?')[0] ?? ''
    void answer(path, response).catch(() => { send(response, 500, { status: 'error' }) })
  })
  server.headersTimeout = 5_000
  server.requestTimeout = 10_000

  async function answer (path: string, response: ServerResponse): Promise<void> {
    const running = persister()
    if (path === '/livez') return send(response, 200, { status: 'ok' })
    if (path === '/startupz') return send(response, running === undefined ? 503 : 200, { status: running === undefined ? 'starting' : 'ok' })
    if (path === '/metrics') {
      if (running === undefined) return send(response, 503, { status: 'starting' })
      const text = await running.meters.text()
      response.writeHead(200, { 'content-type': running.meters.content_type, 'cache-control': 'no-store' }).end(text)
      return
    }
    if (path !== '/readyz' && path !== '/healthz') return send(response, 404, { status: 'not_found' })
    if (running === undefined) return send(response, 503, { status: 'starting' })
    const redis = await ping()
    const { fault, lag_ms: lagMs, waiting_bytes: waiting } = running.meters
    const status = redis && fault === null ? 'ok' : 'degraded'
    send(response, 200, { status, redis: redis ? 'up' : 'away', sink: fault ?? 'up', lag_ms: lagMs, outbox_bytes: waiting, ...details() })
  }

  return {
    async start (host, port) {
      server.listen(port, host)
      try {
        await once(server, 'listening')
      } catch (error) {
        throw new HeadwayError('invalid_config',
          `${host}:${port} cannot be listened on (${(error as NodeJS.ErrnoException).code ?? ''}): set HEADWAY_INTERNAL_PORT to a free one, or to 0`, { cause: error })
      }
      return (server.address() as AddressInfo).port
    },
    async stop () {
      if (!server.listening) return
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    }
  }
}

function send (response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' }).end(JSON.stringify(body))
}
