// A gateway of the demo: a process of its own, started again when it dies, as an orchestrator would.

import { setTimeout as delay } from 'node:timers/promises'
import type { Child, Children } from './children.ts'
import { DemoError } from './demo-error.ts'
import { keepRunning } from './kept-child.ts'

const READY_WITHIN_MS = 20_000
const POLL_MS = 100

export interface DemoGatewayOptions {
  headway: string
  host: string
  port: number
  redis_url: string
  jwt_secret: string
  /** More of its environment. */
  env: Record<string, string>
  log_file: string
  children: Children
  say: (line: string) => void
  /** True when its end is wanted. */
  stopping: () => boolean
}

export interface DemoGateway { port: number }

/**
 * @returns when it answers
 * @throws DemoError when it ends, or does not answer in time
 */
export async function startDemoGateway (options: DemoGatewayOptions): Promise<DemoGateway> {
  const child = launch(options)
  await ready(child, options)
  const { port, log_file: file, say, stopping } = options
  keepRunning({
    child, launch: () => launch(options), title: `Gateway ${port}`, meanwhile: 'the other goes on', log_file: file, say, stopping
  })
  return { port }
}

function launch (options: DemoGatewayOptions): Child {
  const { headway, host, port, redis_url: redisUrl, jwt_secret: secret, env, log_file: file, children } = options
  return children.start({
    name: `gateway ${port}`,
    command: process.execPath,
    args: [headway, 'gateway'],
    env: {
      REDIS_URL: redisUrl,
      WEBSOCKET_HOST: host,
      WEBSOCKET_PORT: String(port),
      HEADWAY_INTERNAL_HOST: '127.0.0.1',
      HEADWAY_INTERNAL_PORT: '0',
      HEADWAY_JWT_SECRET: secret,
      HEADWAY_DRAIN_WINDOW_MS: '0',
      ...env
    },
    log_file: file
  })
}

async function ready (child: Child, { host, port, log_file: file }: DemoGatewayOptions): Promise<void> {
  const address = `http://${host === '0.0.0.0' ? '127.0.0.1' : host}:${port}/readyz`
  let end: string | null = null
  void child.ended.then(how => { end = how })
  for (let waited = 0; waited < READY_WITHIN_MS; waited += POLL_MS) {
    if (end !== null) throw new DemoError(`gateway ${port} ended with ${String(end)}; its words are in ${file}`)
    if (await fetch(address, { signal: AbortSignal.timeout(1000) }).then(answer => answer.ok, () => false)) return
    await delay(POLL_MS)
  }
  throw new DemoError(`gateway ${port} did not get ready within ${READY_WITHIN_MS} ms; its words are in ${file}`)
}
