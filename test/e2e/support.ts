// Gateways as processes of their own, as they run for users, and a small balancer in front of them.

import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { signToken } from '../../src/cli/sign-token.ts'
import { spawnGuarded, type GuardedChild } from '../support/child.ts'
import { freePorts } from '../support/ports.ts'
import { until } from '../support/wait.ts'

export const HEADWAY = fileURLToPath(new URL('../../src/cli/headway.ts', import.meta.url))
export const TENANT = 'acme'
const SECRET = 'a secret of these tests, longer than thirty-two characters'

export interface GatewayProcess { url: string, port: number, child: GuardedChild }

/** @returns when it is ready */
export async function startGatewayProcess (t: Test, redisUrl: string, more: Record<string, string> = {}): Promise<GatewayProcess> {
  const [port = 0, internal = 0] = await freePorts(2)
  const settings = {
    REDIS_URL: redisUrl,
    WEBSOCKET_HOST: '127.0.0.1',
    WEBSOCKET_PORT: port,
    HEADWAY_INTERNAL_HOST: '127.0.0.1',
    HEADWAY_INTERNAL_PORT: internal,
    HEADWAY_JWT_SECRET: SECRET,
    HEADWAY_LOG_LEVEL: 'warn',
    ...more
  }
  const child = await spawnGuarded('/usr/bin/env', [...Object.entries(settings).map(pair => pair.join('=')), process.execPath, HEADWAY, 'gateway'])
  t.teardown(() => child.end('SIGKILL'))
  const url = `http://127.0.0.1:${port}`
  await until(async () => {
    if (!child.running()) throw new Error(child.output())
    return (await fetch(`${url}/readyz`)).ok
  }, { what: 'the gateway is ready', timeout_ms: 60_000 })
  return { url, port, child }
}

export async function tokenOf (scopes = ['jobs:read', 'jobs:control', 'jobs:write'], tenant = TENANT): Promise<string> {
  return await signToken({ secret: SECRET, tenant_id: tenant, tenant_claim: 'app_metadata.tenant_id', scopes, subject: 'e2e', lifetime_s: 600 })
}

/** Hands connections to the ports in turn, passing over those that do not answer. */
export async function startBalancer (t: Test, ports: readonly number[]): Promise<string> {
  const sockets = new Set<Socket>()
  let turn = 0
  const server = createServer(socket => {
    track(socket)
    forward(socket, turn++, ports.length)
  })
  function track (socket: Socket): void {
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => { sockets.delete(socket) })
  }
  function forward (socket: Socket, which: number, triesLeft: number): void {
    const target = connect({ host: '127.0.0.1', port: ports[which % ports.length] ?? 0 })
    track(target)
    target.once('connect', () => {
      socket.pipe(target)
      target.pipe(socket)
      socket.on('close', () => target.destroy())
      target.on('close', () => socket.destroy())
    })
    target.once('error', () => {
      if (triesLeft > 1) forward(socket, which + 1, triesLeft - 1)
      else socket.destroy()
    })
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
