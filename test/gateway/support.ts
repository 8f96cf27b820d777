// A gateway with a private Redis, and the clients that tests talk to it with.

import { once } from 'node:events'
import { SignJWT } from 'jose'
import { pino } from 'pino'
import type { Test } from 'tap'
import { WebSocket } from 'ws'
import { createArchive } from '../../src/archive/archive.ts'
import { archiveOptions, engineOptions } from '../../src/config/engine-options.ts'
import { type Environment, loadConfig } from '../../src/config/load.ts'
import { createEngine, type Engine } from '../../src/engine/engine.ts'
import { createGateway, type Gateway } from '../../src/gateway/gateway.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'
import { randomPrefix } from '../support/topology.ts'
import { until } from '../support/wait.ts'

export const SECRET = 'a secret of the tests, of thirty-two characters'
export const WORKER_SCOPES = 'jobs:read jobs:control jobs:write'

export interface TokenOptions {
  tenant?: string
  scope?: string
  /** Seconds from now; negative = already expired. */
  expires_in_s?: number
}

export async function tokenOf ({ tenant = 'acme', scope, expires_in_s: expiresIn = 600 }: TokenOptions = {}): Promise<string> {
  return new SignJWT({ app_metadata: { tenant_id: tenant }, ...(scope === undefined ? {} : { scope }) })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setExpirationTime(Math.floor(Date.now() / 1_000) + expiresIn)
    .sign(new TextEncoder().encode(SECRET))
}

export interface Running {
  engine: Engine
  gateway: Gateway
  /** http://127.0.0.1:port */
  url: string
  internal_url: string
  /** Lines that were logged. */
  logged: string[]
}

/** @param env beyond what tests need */
export async function startGateway (t: Test, redis: RedisServer, env: Environment = {}): Promise<Running> {
  const logged: string[] = []
  const log = pino({ level: 'trace' }, { write: (line: string) => { logged.push(line) } })
  const config = loadConfig({
    REDIS_URL: redis.url,
    HEADWAY_PREFIX: randomPrefix(),
    HEADWAY_JWT_SECRET: SECRET,
    HEADWAY_DASHBOARD: 'off',
    HEADWAY_SWEEP_INTERVAL_MS: '50',
    HEADWAY_DRAIN_WINDOW_MS: '0',
    WEBSOCKET_HOST: '127.0.0.1',
    WEBSOCKET_PORT: '0',
    HEADWAY_INTERNAL_HOST: '127.0.0.1',
    HEADWAY_INTERNAL_PORT: '0',
    ...env
  })
  const engine = createEngine({ ...engineOptions(config), log })
  await engine.start()
  const reads = archiveOptions(config)
  const gateway = createGateway({ engine, config, archive: reads === null ? null : createArchive(reads), log })
  t.teardown(async () => {
    await gateway.stop()
    await engine.stop()
  })
  const { port, internal_port: internalPort } = await gateway.start()
  return { engine, gateway, url: `http://127.0.0.1:${port}`, internal_url: `http://127.0.0.1:${internalPort}`, logged }
}

export async function privateRedis (t: Test): Promise<RedisServer> {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  return redis
}

export interface Reply { status: number, headers: Headers, body: Record<string, unknown> }

export async function call (url: string, method: string, token: string | null, body?: unknown): Promise<Reply> {
  const response = await fetch(url, {
    method,
    headers: {
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' })
    },
    body: body === undefined ? null : typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body)
  } as RequestInit)
  const text = await response.text()
  return { status: response.status, headers: response.headers, body: text === '' ? {} : JSON.parse(text) as Record<string, unknown> }
}

export interface Message { type: string, seq: number, rev: number, job_id: string, data: Record<string, unknown>, [field: string]: unknown }

/** A plain WebSocket client that keeps what it hears. */
export class Client {
  readonly messages: Message[] = []
  readonly socket: WebSocket
  closed: { code: number, reason: string } | null = null

  constructor (url: string, protocols: string[] = [], headers: Record<string, string> = {}) {
    this.socket = new WebSocket(url.replace('http', 'ws'), protocols, { headers })
    this.socket.on('message', data => this.messages.push(JSON.parse(String(data)) as Message))
    this.socket.on('close', (code, reason) => { this.closed = { code, reason: String(reason) } })
    this.socket.on('error', () => {})
  }

  async open (): Promise<this> {
    if (this.socket.readyState !== WebSocket.OPEN) await once(this.socket, 'open')
    return this
  }

  /** @returns the HTTP status with which the upgrade was refused */
  async refused (): Promise<{ status: number, headers: Record<string, unknown>, body: Record<string, unknown> }> {
    const [, response] = await once(this.socket, 'unexpected-response')
    let text = ''
    for await (const chunk of response) text += chunk
    return { status: response.statusCode, headers: response.headers, body: JSON.parse(text) as Record<string, unknown> }
  }

  say (message: unknown): void {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message))
  }

  /** Waits for a message, heard already or not. */
  async hear (match: (message: Message) => boolean, what: string): Promise<Message> {
    return await until(() => this.messages.find(match), { what: `${what}; heard ${this.messages.map(({ type }) => type).join(' ')}` })
  }

  of (type: string): Promise<Message> {
    return this.hear(message => message.type === type, type)
  }

  /** The ack or error of a request. */
  answer (id: string): Promise<Message> {
    return this.hear(message => message['id'] === id, `an answer to ${id}`)
  }

  end (): Promise<{ code: number, reason: string }> {
    return until(() => this.closed, { what: 'the socket closes' })
  }
}
