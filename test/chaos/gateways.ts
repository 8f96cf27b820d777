// Gateways of a run: real processes that can be killed, stopped and started again on their port, and whose memory is watched.

import { readFileSync } from 'node:fs'
import { signToken } from '../../src/cli/sign-token.ts'
import { HEADWAY, TENANT } from '../e2e/support.ts'
import { spawnGuarded, type GuardedChild } from '../support/child.ts'
import { freePorts } from '../support/ports.ts'
import { until } from '../support/wait.ts'

const SECRET = 'a secret of the chaos runs, longer than thirty-two characters'

export interface GatewayHandle {
  readonly url: string
  readonly port: number
  signal (signal: NodeJS.Signals): void
  /** SIGKILL unless told otherwise; resolves when it is gone. */
  end (signal?: NodeJS.Signals): Promise<void>
  /** Resolves once it is ready; after its end again, on the same port. */
  start (): Promise<void>
  /** Connections that it holds, as it says itself. */
  connections (): Promise<number>
  rss (): { pid: number, bytes: number } | null
}

/** A gateway that has its ports, and does not run yet. */
export async function prepareGateway (redisUrl: string, env: Record<string, string> = {}): Promise<GatewayHandle> {
  const [port = 0, internal = 0] = await freePorts(2)
  const settings = {
    REDIS_URL: redisUrl,
    WEBSOCKET_HOST: '127.0.0.1',
    WEBSOCKET_PORT: String(port),
    HEADWAY_INTERNAL_HOST: '127.0.0.1',
    HEADWAY_INTERNAL_PORT: String(internal),
    HEADWAY_JWT_SECRET: SECRET,
    HEADWAY_DASHBOARD: 'off',
    HEADWAY_LOG_LEVEL: 'error',
    ...env
  }
  const url = `http://127.0.0.1:${port}`
  const command = [...Object.entries(settings).map(pair => pair.join('=')), process.execPath, HEADWAY, 'gateway']
  let running: GuardedChild | null = null
  async function start (): Promise<void> {
    const child = running = await spawnGuarded('/usr/bin/env', command)
    await until(async () => {
      if (!child.running()) throw new Error(`a gateway ended at once: ${child.output()}`)
      return (await fetch(`${url}/startupz`)).ok
    }, { what: 'the gateway has started', timeout_ms: 90_000, interval_ms: 50 })
  }
  return {
    url,
    port,
    signal (signal) { if (running?.running() === true) process.kill(running.pid, signal) },
    async end (signal = 'SIGKILL') { await running?.end(signal) },
    start,
    async connections () {
      const text = await (await fetch(`${url}/metrics`)).text()
      return [...text.matchAll(/^headway_connections\{[^}]*\} (\d+)$/gm)].reduce((sum, found) => sum + Number(found[1]), 0)
    },
    rss () {
      const child = running
      if (child === null) return null
      try {
        const pages = Number(readFileSync(`/proc/${child.pid}/statm`, 'utf8').split(' ')[1])
        return child.running() ? { pid: child.pid, bytes: pages * 4_096 } : null
      } catch {
        return null
      }
    }
  }
}

export async function userToken (): Promise<string> {
  const scopes = ['jobs:read', 'jobs:control', 'jobs:write']
  return await signToken({ secret: SECRET, tenant_id: TENANT, tenant_claim: 'app_metadata.tenant_id', scopes, subject: 'chaos', lifetime_s: 3_600 })
}
