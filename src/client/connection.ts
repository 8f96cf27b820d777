// The one socket: opens it, opens it again with full jitter, and gives up when the server says that coming back is no use.
//
// A browser does not show why an upgrade was refused, so after a failed open the same question is asked by HTTP. What a
// close code means for the client stands in CLOSE_CODES; a code that is not there (1006: the line was cut) means come back.
// A time that the server chose is waited for; one that only jitter chose is cut short when the network or the user is back.

import { CLOSE_CODES, HeadwayError } from '../protocol/errors.ts'
import type { CloseCode, ErrorCode } from '../protocol/errors.ts'
import type { ClientMessage, ServerMessage } from '../protocol/messages.ts'
import { createBackoff } from './backoff.ts'
import type { Clock, SocketFactory, SocketLike, TokenSource, WakeSource } from './platform.ts'

export interface ConnectionParams {
  /** ws: or wss: */
  url: string
  getToken: TokenSource
  /** Undefined where there is no WebSocket. */
  Socket: SocketFactory | undefined
  /** Taken after `MISSES_MAX` sockets in a row did not open although the server answers. */
  Fallback?: SocketFactory
  clock: Clock
  random: () => number
  onWake: WakeSource
  /** @param token that of the socket */
  onOpen: (token: string) => void
  onMessage: (message: ServerMessage) => void
  /** An open socket is gone, or a try has failed; another try follows. */
  onDown: () => void
  /** No other try follows until {@link Connection.open} is called. */
  onRefused: (why: HeadwayError) => void
  /** After a failed open. @returns what to do: give up, or at least how long to wait, ms; reached = the server is well */
  ask: () => Promise<{ refused: HeadwayError } | { wait_ms: number, reached?: boolean }>
}

export interface Connection {
  readonly isOpen: boolean
  /** Connects unless it does already. */
  open (): void
  /** @returns false when it is not open and nothing was sent */
  send (message: ClientMessage): boolean
  /** May be opened again. */
  close (): void
}

/** One may be a restart; two while HTTP works are a proxy that lets no WebSocket through. */
const MISSES_MAX = 2
/** A try that has not come to anything by then is given up. */
const OPEN_MS_MAX = 15_000
/** Silence after which the server is asked for a word, and how long it may take: a dead line says nothing by itself. */
const QUIET_MS = 30_000
const PONG_MS_MAX = 10_000
/** The server has too much to do, or the client was too loud: not at once again. */
const BUSY_CODES: readonly number[] = [1013, 4429]
const BUSY_WAIT_MS = 1000

const ERROR_OF_CLOSE: Record<number, ErrorCode> = { 1009: 'frame_too_large', 4400: 'malformed_message', 4401: 'unauthorized', 4403: 'forbidden' }

export function createConnection (params: ConnectionParams): Connection {
  const { url, getToken, Socket, Fallback, clock, random, onWake, onOpen, onMessage, onDown, onRefused, ask } = params
  const backoff = createBackoff({ random })
  let wanted = false
  let socket: SocketLike | null = null
  let opened = false
  let misses = Socket === undefined ? MISSES_MAX : 0
  let token = ''
  /** Each try has its number: what belongs to an older one comes too late. */
  let attempt = 0
  let timer: unknown
  /** Waits for the next try, and only jitter says how long. */
  let idle = false
  /** A ping is on its way. */
  let asked = false
  let stopWaking = (): void => {}

  function setTimer (callback: () => void, ms: number): void {
    clock.clearTimeout(timer)
    timer = clock.setTimeout(callback, ms)
  }

  async function connect (): Promise<void> {
    const current = ++attempt
    idle = false
    try {
      token = await getToken()
    } catch {
      if (current === attempt) retry(0)
      return
    }
    if (current !== attempt) return
    const Chosen = (misses < MISSES_MAX ? Socket : Fallback) ?? Fallback ?? Socket
    try {
      socket = new Chosen!(url, ['headway.v1', `bearer.${token}`])
    } catch (cause) {
      return refuse(new HeadwayError('unauthorized', `the socket to ${url} could not be made; look at the URL and the token`, { cause }))
    }
    setTimer(() => lost(current, 1006, ''), OPEN_MS_MAX)
    socket.onopen = () => {
      opened = true
      // Lost later, the fallback gives a WebSocket one more try.
      if (Socket !== undefined) misses = Chosen !== Socket ? MISSES_MAX - 1 : 0
      listen(current)
      onOpen(token)
    }
    socket.onmessage = event => {
      backoff.reset()
      listen(current)
      const message = parse(event.data)
      if (message !== null) onMessage(message)
    }
    socket.onerror = () => {} // onclose follows
    socket.onclose = ({ code, reason }) => lost(current, code, reason)
  }

  /** The line lives: wait for the next silence. */
  function listen (current: number): void {
    asked = false
    setTimer(() => check(current), QUIET_MS)
  }

  /** Asked once, however often: or a dead line would get its time again and again. */
  function check (current: number): void {
    if (asked) return
    asked = true
    send({ action: 'ping', id: 'ping' }) // or its refusal would look like the end of the tenant's stream
    setTimer(() => lost(current, 1006, ''), PONG_MS_MAX)
  }

  function wake (): void {
    if (opened) return check(attempt)
    if (!idle) return
    clock.clearTimeout(timer)
    backoff.reset()
    void connect()
  }

  /** Forgets the socket. Its close frame may take minutes on a dead line, so nobody waits for it. */
  function drop (): void {
    attempt++
    idle = false
    clock.clearTimeout(timer)
    if (socket !== null) {
      socket.onopen = socket.onmessage = socket.onclose = null
      socket.close()
    }
    socket = null
    opened = false
  }

  function lost (current: number, code: number, reason: string): void {
    if (current !== attempt) return
    const wasOpen = opened
    drop()
    onDown()
    if (!wanted) return
    if (wasOpen) void closed(code, reason)
    else void failed()
  }

  async function failed (): Promise<void> {
    const current = attempt
    const answer = await ask()
    if (current !== attempt || !wanted) return
    if ('refused' in answer) return refuse(answer.refused)
    if (answer.reached === true) misses++
    retry(answer.wait_ms)
  }

  async function closed (code: number, reason: string): Promise<void> {
    const current = attempt
    const known: CloseCode | undefined = (CLOSE_CODES as Record<number, CloseCode>)[code]
    if (known?.reconnect === false) {
      const mayReturn = code === 4401 && await hasOtherToken()
      if (current !== attempt || !wanted) return
      if (!mayReturn) return refuse(new HeadwayError(ERROR_OF_CLOSE[code] ?? 'closed', reason || known.sentence))
    }
    if (code === 1012) retry(0, reconnectAfter(reason))
    else retry(BUSY_CODES.includes(code) ? BUSY_WAIT_MS : 0)
  }

  async function hasOtherToken (): Promise<boolean> {
    try {
      return await getToken() !== token
    } catch {
      return false
    }
  }

  /** @param exactMs chosen by the server, which spreads its clients itself */
  function retry (waitMs: number, exactMs: number | null = null): void {
    idle = waitMs === 0 && exactMs === null
    setTimer(() => { void connect() }, exactMs ?? backoff.next(waitMs))
  }

  function stop (): void {
    wanted = false
    stopWaking()
    drop()
  }

  function refuse (why: HeadwayError): void {
    stop()
    onRefused(why)
  }

  function send (message: ClientMessage): boolean {
    if (!opened) return false
    socket!.send(JSON.stringify(message))
    return true
  }

  return {
    get isOpen () { return opened },
    open () {
      if (wanted) return
      wanted = true
      backoff.reset()
      stopWaking = onWake(wake)
      void connect()
    },
    send,
    close: stop
  }
}

function parse (data: unknown): ServerMessage | null {
  try {
    const message: unknown = JSON.parse(String(data))
    return typeof message === 'object' && message !== null && 'type' in message ? message as ServerMessage : null
  } catch {
    return null
  }
}

/** The reason of a 1012 is `{"reconnect_after_ms": …}`; null when it is not. */
function reconnectAfter (reason: string): number | null {
  try {
    const { reconnect_after_ms: ms } = JSON.parse(reason) as { reconnect_after_ms?: unknown }
    return typeof ms === 'number' && ms >= 0 ? ms : null
  } catch {
    return null
  }
}
