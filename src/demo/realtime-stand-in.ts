// STAND-IN for Supabase Realtime, for `npm start` and the tests, never for production: the documented Phoenix protocol with
// `postgres_changes`, as far as unmodified supabase-js asks for it, fed by the real database's own log. What is not served:
// broadcast, presence, private channels, limits of a plan. It can break on purpose, in the ways the real one is known to.

import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { errors, jwtVerify } from 'jose'
import { WebSocketServer, type WebSocket } from 'ws'
import { createChanges, type Change, type Values } from './realtime-changes.ts'
import { createRows, parseFilters, type Filter, type Sight } from './realtime-rows.ts'
import { RefusedToken, serveSocket, subscriptionId, type Channel, type Claims, type Socket } from './realtime-socket.ts'

export interface RealtimeStandInOptions {
  /** Of a superuser of a server that runs with wal_level=logical: it reads the log and takes the roles of subscribers. */
  database_url: string
  /** Of users' tokens and legacy keys (HS256), the one that PostgREST has. */
  jwt_secret: string
  /** sb_secret_…: role service_role. */
  secret_key: string
  /** sb_publishable_…: role anon, unless the channel brings a user's token. */
  publishable_key: string
  /** Somebody's HTTP server, which stays theirs: /realtime/v1/websocket is served there. Absent = one of its own. */
  server?: Server
  /** Of its own server; 0 = any. */
  port?: number
  publication?: string
  poll_ms?: number
  /** How long a socket opened with a key may join channels. Supabase: 24 hours. */
  key_ttl_ms?: number
  /** Between joining and hearing. */
  subscribe_after_ms?: number
  /** Before a join is refused. Supabase: 5 s. */
  refuse_after_ms?: number
  onTrouble?: (error: Error) => void
}

export interface RealtimeFaults {
  /** HTTP status with which sockets are refused; null = none. */
  refuse: number | null
  /** Nothing is heard or said on any socket. */
  mute: boolean
  /** So many changes are told to nobody, though they are subscribed to: a zombie. Infinity = all. */
  deaf: number
  /** So many subscriptions fail, each told by a system message. */
  subscriptions_fail: number
}

export interface RealtimeStandIn {
  /** What SUPABASE_URL would be. */
  readonly url: string
  readonly faults: RealtimeFaults
  /** Channels that hear changes. */
  readonly listening: number
  readonly sockets: number
  start (): Promise<void>
  /** Idempotent. */
  stop (): Promise<void>
  killSockets (): void
  closeChannels (message?: string): void
  crashChannels (): void
}

const isOf = (wanted: string, is: string): boolean => wanted === '*' || wanted === is

interface Subscription { id: number, channel: Channel, event: string, schema: string, table: string, filters: Filter[] }

const PATH = '/realtime/v1/websocket'
const RECORD_BYTES_MAX = 1_048_576
/** What of a record that is too large is still told. */
const FIELD_BYTES_KEPT = 64
const FRAME_BYTES_MAX = 1_048_576
const IDLE_MS = 60_000

export function createRealtimeStandIn (options: RealtimeStandInOptions): RealtimeStandIn {
  const { database_url: databaseUrl, publication = 'supabase_realtime', poll_ms: pollMs = 100, onTrouble = () => {} } = options
  const server = options.server ?? createServer((_, response) => { response.writeHead(404).end() })
  const secret = new TextEncoder().encode(options.jwt_secret)
  const faults: RealtimeFaults = { refuse: null, mute: false, deaf: 0, subscriptions_fail: 0 }
  const subscriptions = new Set<Subscription>()
  const sockets = new Map<WebSocket, Socket>()
  const rows = createRows(databaseUrl, publication)
  const changes = createChanges({ database_url: databaseUrl, publication, poll_ms: pollMs, onChange: tell, onTrouble })
  const upgrades = new WebSocketServer({ noServer: true, maxPayload: FRAME_BYTES_MAX })
  let stopped: Promise<void> | undefined

  async function verify (token: string): Promise<Claims> {
    try {
      const { payload } = await jwtVerify(token, secret, { algorithms: ['HS256'] })
      if (typeof payload['role'] === 'string' && payload.exp !== undefined) return payload as Claims
      throw new RefusedToken('InvalidJWTToken', 'Fields `role` and `exp` are required in JWT')
    } catch (error) {
      if (error instanceof RefusedToken) throw error
      if (error instanceof errors.JWTExpired) throw new RefusedToken('InvalidJWTToken', 'Token has expired')
      if (error instanceof errors.JWSSignatureVerificationFailed) throw new RefusedToken('JwtSignatureError', 'Failed to validate JWT signature')
      throw new RefusedToken('MalformedJWT', 'The token provided is not a valid JWT')
    }
  }

  async function ownerOf (key: string): Promise<Claims> {
    const role = key === options.secret_key ? 'service_role' : key === options.publishable_key ? 'anon' : null
    if (role === null) return await verify(key)
    return { role, exp: (Date.now() + (options.key_ttl_ms ?? 86_400_000)) / 1000 }
  }

  async function upgrade (request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://stand-in')
    if (url.pathname !== PATH) return options.server === undefined ? refuse(socket, 404, 'not found') : undefined
    if (faults.refuse !== null) return refuse(socket, faults.refuse, 'Error connecting to Realtime')
    const own = await ownerOf(url.searchParams.get('apikey') ?? '').catch(() => null)
    if (own === null) return refuse(socket, 401, 'The token provided is not a valid JWT')
    upgrades.handleUpgrade(request, socket, head, (ws) => {
      sockets.set(ws, serveSocket({
        ws,
        vsn: url.searchParams.get('vsn') ?? '1.0.0',
        own,
        verify,
        subscribe,
        unsubscribe,
        muted: () => faults.mute,
        idle_ms: IDLE_MS,
        refuse_after_ms: options.refuse_after_ms ?? 5_000
      }))
      ws.once('close', () => { sockets.delete(ws) })
    })
  }
  const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    socket.on('error', () => {}) // a client that goes away while it is let in
    void upgrade(request, socket, head)
  }

  async function subscribe (channel: Channel): Promise<void> {
    await delay(options.subscribe_after_ms ?? 50)
    if (faults.subscriptions_fail > 0) {
      faults.subscriptions_fail--
      throw new Error('Unable to subscribe to changes with given parameters. Please check Realtime is enabled')
    }
    const made = channel.wanted.map((wanted): Subscription => ({
      id: subscriptionId(wanted),
      channel,
      event: (wanted.event ?? '*').toUpperCase(),
      schema: wanted.schema ?? 'public',
      table: wanted.table ?? '*',
      filters: parseFilters(wanted.filter)
    }))
    for (const { event, schema, table } of made) {
      if (await rows.published(schema, table)) continue
      throw new Error('Unable to subscribe to changes with given parameters. Please check Realtime is enabled for the given connect ' +
        `parameters: [event: ${event}, schema: ${schema}, table: ${table}, filters: []]`)
    }
    if (channel.open) for (const one of made) subscriptions.add(one)
  }

  function unsubscribe (channel: Channel): void {
    for (const one of subscriptions) if (one.channel === channel) subscriptions.delete(one)
  }

  async function tell (change: Change): Promise<void> {
    if (faults.deaf > 0) {
      faults.deaf--
      return
    }
    const { relation: { schema, table }, type } = change
    const seen = new Map<string, Sight>()
    const told = new Map<Channel, { ids: number[], data: object }>()
    for (const one of subscriptions) {
      if (!isOf(one.schema, schema) || !isOf(one.table, table) || !isOf(one.event, type)) continue
      if (!await rows.matches(change.relation, change.record ?? change.old_record ?? {}, one.filters)) continue
      const who = JSON.stringify(one.channel.claims)
      const sight = seen.get(who) ?? await rows.sight(change.relation, change.record, one.channel.claims)
      seen.set(who, sight)
      if (!sight.visible && sight.error === null) continue
      const message = told.get(one.channel) ?? { ids: [], data: dataOf(change, sight) }
      message.ids.push(one.id)
      told.set(one.channel, message)
    }
    for (const [channel, message] of told) if (channel.open) channel.changes(message)
  }

  return {
    get url () { return `http://127.0.0.1:${(server.address() as AddressInfo).port}` },
    faults,
    get listening () { return new Set([...subscriptions].map(({ channel }) => channel)).size },
    get sockets () { return sockets.size },
    async start () {
      await changes.start()
      server.on('upgrade', onUpgrade)
      if (options.server !== undefined) return
      server.listen(options.port ?? 0, '127.0.0.1')
      await once(server, 'listening')
    },
    stop () {
      stopped ??= (async () => {
        server.off('upgrade', onUpgrade)
        for (const ws of sockets.keys()) ws.terminate()
        if (options.server === undefined) {
          server.closeAllConnections()
          server.close()
        }
        await changes.stop()
        await rows.stop()
      })()
      return stopped
    },
    killSockets () { for (const ws of sockets.keys()) ws.terminate() },
    closeChannels (message) { for (const socket of sockets.values()) socket.closeChannels(message) },
    crashChannels () { for (const socket of sockets.values()) socket.crashChannels() }
  }
}

function refuse (socket: Duplex, status: number, error: string): void {
  const body = JSON.stringify({ error })
  socket.end(`HTTP/1.1 ${status} Refused\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`)
}

/** A change as a subscriber is told of it. */
function dataOf ({ type, relation, record, old_record: old, commit_timestamp: committed }: Change, { columns, error }: Sight): object {
  const of = { schema: relation.schema, table: relation.table, type }
  if (error !== null) return { ...of, errors: [error] }
  const large = Buffer.byteLength(JSON.stringify(record ?? old)) > RECORD_BYTES_MAX
  const isKey = (name: string): boolean => relation.columns.some((column) => column.primary && column.name === name)
  const isSmall = (value: unknown): boolean => value !== null && Buffer.byteLength(JSON.stringify(value)) <= FIELD_BYTES_KEPT
  const shown = (values: Values, keyOnly: boolean): Values => Object.fromEntries(Object.entries(values).filter(([name, value]) =>
    columns.includes(name) && (!keyOnly || isKey(name)) && (!large || isSmall(value))))
  return {
    ...of,
    commit_timestamp: committed,
    columns: relation.columns.filter(({ name }) => columns.includes(name)).map(({ name, type }) => ({ name, type })),
    ...record !== null && { record: shown(record, false) },
    // A row that is gone cannot be looked at under anybody's policies: they are told its key, nothing else.
    ...old !== null && { old_record: shown(old, type === 'DELETE' && relation.row_security) },
    errors: large ? ['Error 413: Payload Too Large'] : null
  }
}
