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
  readonly child: GuardedChild
  signal (signal: NodeJS.Signals): void
  /** SIGKILL unless told otherwise; resolves when it is gone. */
  end (signal?: NodeJS.Signals): Promise<void>
  /** On the same port, once it is ready. */
  restart (): Promise<void>
  rss (): { pid: number, bytes: number } | null
}

export async function startGateway (redisUrl: string, env: Record<string, string> = {}): Promise<GatewayHandle> {
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
  let child: GuardedChild
  async function start (): Promise<void> {
    child = await spawnGuarded('/usr/bin/env', command)
    await until(async () => {
      if (!child.running()) throw new Error(`a gateway ended at once: ${child.output()}`)
      return (await fetch(`${url}/startupz`)).ok
    }, { what: 'the gateway has started', timeout_ms: 90_000, interval_ms: 50 })
  }
  await start()
  return {
    url,
    port,
    get child () { return child },
    signal (signal) { if (child.running()) process.kill(child.pid, signal) },
    end: (signal = 'SIGKILL') => child.end(signal),
    restart: start,
    rss () {
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
