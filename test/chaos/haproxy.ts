// A real haproxy in front of the gateways, as a deployment has one: it asks /readyz and sends newcomers to who is ready.

import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { spawnGuarded } from '../support/child.ts'
import { freePorts } from '../support/ports.ts'
import { until } from '../support/wait.ts'

export interface Balancer { readonly url: string, stop (): Promise<void> }

/** @returns null when haproxy is not installed */
export function haproxyBinary (): string | null {
  for (const folder of [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']) {
    try {
      accessSync(join(folder, 'haproxy'), constants.X_OK)
      return join(folder, 'haproxy')
    } catch { /* the next one */ }
  }
  return null
}

export async function startHaproxy (binary: string, ports: readonly number[]): Promise<Balancer> {
  const dir = mkdtempSync(join(tmpdir(), 'headway-chaos-haproxy-'))
  const [port = 0] = await freePorts(1)
  const file = join(dir, 'haproxy.cfg')
  writeFileSync(file, [
    'defaults',
    '  mode http',
    '  timeout connect 2s',
    '  timeout client 60s',
    '  timeout server 60s',
    '  timeout tunnel 1h',
    '  retries 2',
    '  option redispatch',
    'frontend clients',
    `  bind 127.0.0.1:${port}`,
    '  default_backend gateways',
    'backend gateways',
    '  balance leastconn',
    '  option httpchk GET /readyz',
    ...ports.map((gateway, n) => `  server g${n} 127.0.0.1:${gateway} check inter 100ms fall 1 rise 1`),
    ''
  ].join('\n'))
  const child = await spawnGuarded(binary, ['-db', '-f', file])
  const url = `http://127.0.0.1:${port}`
  const stop = async (): Promise<void> => {
    await child.end('SIGKILL')
    rmSync(dir, { recursive: true, force: true })
  }
  try {
    await until(async () => {
      if (!child.running()) throw new Error(`haproxy ended at once: ${child.output()}`)
      return (await fetch(`${url}/readyz`)).ok
    }, { what: 'haproxy finds a gateway' })
    return { url, stop }
  } catch (error) {
    await stop()
    throw error
  }
}
