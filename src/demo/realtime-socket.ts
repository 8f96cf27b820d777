// One socket of the Realtime stand-in: Phoenix frames, and the channels that are joined, refreshed, left and expire on it.

import type { WebSocket } from 'ws'

export interface Claims { role: string, exp: number, [claim: string]: unknown }

/** A subscription as the client asks for it; it is told back word for word. */
export interface Wanted { event?: string, schema?: string, table?: string, filter?: string }

export interface Channel {
  /** Topic without `realtime:`. */
  readonly name: string
  readonly claims: Claims
  readonly wanted: readonly Wanted[]
  readonly open: boolean
  system (status: 'ok' | 'error', extension: string, message: string): void
  changes (payload: unknown): void
}

export interface SocketParams {
  ws: WebSocket
  /** 2.0.0 = frames are arrays, 1.0.0 = objects. */
  vsn: string
  /** Of the key that opened the socket: for channels that bring no token. It expires like any other, on this socket for good. */
  own: Claims
  /** @throws RefusedToken */
  verify: (token: string) => Promise<Claims>
  /** Resolves when the channel's subscriptions are live. @throws Error with what is wrong with them */
  subscribe: (channel: Channel) => Promise<void>
  unsubscribe: (channel: Channel) => void
  /** True = nothing is heard or said, as behind a network that swallows packets. */
  muted: () => boolean
  /** A socket silent for so long is closed. */
  idle_ms: number
  /** Pause before a refusal, so that clients do not hammer. */
  refuse_after_ms: number
}

export interface Socket {
  /** Every channel ends, with a reason or without; clients do not come back by themselves. */
  closeChannels (message?: string): void
  /** Every channel says that it crashed; clients join again. */
  crashChannels (): void
}

export class RefusedToken extends Error {
  readonly code: 'MalformedJWT' | 'JwtSignatureError' | 'InvalidJWTToken'
  constructor (code: RefusedToken['code'], message: string) {
    super(message)
    this.code = code
  }
}

type Frame = [joinRef: string | null, ref: string | null, topic: string, event: string, payload: Record<string, unknown>]

interface Member { channel: Channel, topic: string, join_ref: string | null, claims: Claims, open: boolean, expiry?: NodeJS.Timeout }

const CHANNELS_MAX = 100
const BUFFERED_MAX = 8 * 1024 * 1024
const TIMER_MAX_MS = 2 ** 31 - 1

export function serveSocket (params: SocketParams): Socket {
  const { ws, vsn, own, verify, subscribe, unsubscribe, muted, idle_ms: idleMs, refuse_after_ms: refuseMs } = params
  const members = new Map<string, Member>()
  const idle = setTimeout(() => { ws.close(1000) }, idleMs)
  let turn: Promise<void> = Promise.resolve()

  function send (...[joinRef, ref, topic, event, payload]: Frame): void {
    if (ws.readyState !== ws.OPEN || muted()) return
    if (ws.bufferedAmount > BUFFERED_MAX) return ws.terminate()
    ws.send(JSON.stringify(vsn === '2.0.0' ? [joinRef, ref, topic, event, payload] : { join_ref: joinRef, ref, topic, event, payload }))
  }

  function drop (member: Member): void {
    member.open = false
    clearTimeout(member.expiry)
    unsubscribe(member.channel)
    if (members.get(member.topic) === member) members.delete(member.topic)
  }

  function close (member: Member, message?: string): void {
    if (message !== undefined) member.channel.system('error', 'system', message)
    send(member.join_ref, member.join_ref, member.topic, 'phx_close', {})
    drop(member)
  }

  function trust (member: Member, claims: Claims): void {
    member.claims = claims
    clearTimeout(member.expiry)
    member.expiry = setTimeout(() => { close(member, 'Token has expired 0 seconds ago') }, Math.min(TIMER_MAX_MS, claims.exp * 1000 - Date.now()))
  }

  /** A key is no token: the socket's own claims stand for it, as long as they last. */
  async function claimsOf (token: unknown): Promise<Claims> {
    if (typeof token === 'string' && !token.startsWith('sb_')) return await verify(token)
    const late = Math.floor(Date.now() / 1000 - own.exp)
    if (late >= 0) throw new RefusedToken('InvalidJWTToken', `Token has expired ${late} seconds ago`)
    return own
  }

  function memberOf (topic: string, joinRef: string | null, wanted: readonly Wanted[], claims: Claims): Member {
    const name = topic.replace(/^realtime:/, '')
    const channel: Channel = {
      name,
      wanted,
      get claims () { return member.claims },
      get open () { return member.open },
      system: (status, extension, message) => { send(joinRef, null, topic, 'system', { message, status, extension, channel: name }) },
      changes: (payload) => { send(null, null, topic, 'postgres_changes', payload as Record<string, unknown>) }
    }
    const member: Member = { channel, topic, join_ref: joinRef, claims, open: true }
    return member
  }

  async function join ([joinRef, ref, topic, , payload]: Frame): Promise<void> {
    const config = (payload['config'] ?? {}) as { postgres_changes?: Wanted[], postgres_changes_options?: { wait?: boolean } }
    const wanted = (config.postgres_changes ?? []).filter((one) => one !== null)
    const refuse = (reason: string): void => {
      setTimeout(() => { send(joinRef, ref, topic, 'phx_reply', { status: 'error', response: { reason } }) }, refuseMs)
    }
    const before = members.get(topic)
    if (before !== undefined) close(before)
    if (!/^realtime:./.test(topic)) return refuse('TopicNameRequired: You must provide a topic name')
    if (members.size >= CHANNELS_MAX) return refuse('ChannelRateLimitReached: Too many channels')
    let claims: Claims
    try {
      claims = await claimsOf(payload['access_token'] ?? payload['user_token'])
    } catch (error) {
      return refuse(error instanceof RefusedToken ? `${error.code}: ${error.message}` : 'UnknownErrorOnChannel')
    }
    const member = memberOf(topic, joinRef, wanted, claims)
    members.set(topic, member)
    trust(member, claims)
    const joined = (): void => {
      const response = { postgres_changes: wanted.map((one) => ({ id: subscriptionId(one), ...one })) }
      send(joinRef, ref, topic, 'phx_reply', { status: 'ok', response })
    }
    const wait = config.postgres_changes_options?.wait === true && wanted.length > 0
    if (!wait) joined()
    if (wanted.length > 0) void listen(member, wait ? { joined, refuse } : null)
  }

  /** Without `wait` a client that joined hears of what goes wrong by a system message only. */
  async function listen (member: Member, wait: { joined: () => void, refuse: (reason: string) => void } | null): Promise<void> {
    try {
      await subscribe(member.channel)
      if (!member.open) return
      wait?.joined()
      member.channel.system('ok', 'postgres_changes', 'Subscribed to PostgreSQL')
    } catch (error) {
      const { message } = error as Error
      if (wait === null) return member.channel.system('error', 'postgres_changes', message)
      drop(member)
      wait.refuse(`RealtimeDisabledForConfiguration: ${message}`)
    }
  }

  async function take (frame: Frame): Promise<void> {
    const [joinRef, ref, topic, event, payload] = frame
    const reply = (status: string, response: object): void => { send(joinRef, ref, topic, 'phx_reply', { status, response }) }
    if (topic === 'phoenix') return reply('ok', {})
    if (event === 'phx_join') return await join(frame)
    const member = members.get(topic)
    if (member === undefined) return reply('error', { reason: 'unmatched topic' })
    if (event === 'phx_leave') {
      reply('ok', {})
      close(member)
    } else if (event === 'access_token') {
      const token = payload['access_token']
      if (typeof token !== 'string' || token.startsWith('sb_')) return
      try {
        trust(member, await verify(token))
      } catch (error) {
        close(member, (error as Error).message)
      }
    }
  }

  ws.on('message', (data, binary) => {
    idle.refresh()
    if (muted() || binary) return // binary frames are broadcasts only
    const frame = frameOf(String(data))
    if (frame === null) return ws.close(1003)
    turn = turn.then(() => take(frame)).catch(() => { ws.terminate() })
  })
  ws.on('error', () => {}) // 'close' follows
  ws.on('close', () => {
    clearTimeout(idle)
    for (const member of [...members.values()]) drop(member)
  })

  return {
    closeChannels (message) {
      for (const member of [...members.values()]) close(member, message)
    },
    crashChannels () {
      for (const member of [...members.values()]) {
        send(member.join_ref, member.join_ref, member.topic, 'phx_error', {})
        drop(member)
      }
    }
  }
}

function frameOf (text: string): Frame | null {
  try {
    const value = JSON.parse(text) as Frame | Record<string, never>
    const parts = Array.isArray(value) ? value : ['join_ref', 'ref', 'topic', 'event', 'payload'].map((name) => value[name])
    const [joinRef, ref, topic, event, payload] = parts
    return typeof topic === 'string' && typeof event === 'string' ? [joinRef ?? null, ref ?? null, topic, event, payload ?? {}] : null
  } catch {
    return null
  }
}

/** The same subscription has the same number, whoever asks. */
export function subscriptionId (wanted: Wanted): number {
  let hash = 2_166_136_261
  const text = JSON.stringify(Object.entries(wanted).sort())
  for (const character of text) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 16_777_619)
  return (hash >>> 0) % 134_217_728
}
