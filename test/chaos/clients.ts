// The watchers of a run: plain clients that write down every message, come back with full jitter, and go on behind the
// last event that they have seen. They judge nothing; they only follow the protocol.

import { openSocket, openStream, type Line } from './connections.ts'
import { reconnectMs } from './reconnect.ts'
import type { Message, Recorder } from './record.ts'

/** Every so many watchers one is a stream of server-sent events. */
const STREAM_EACH = 4
const TEXT_KEPT_MAX = 600
const TERMINAL = ['completed', 'failed', 'canceled']

export interface Watcher {
  readonly client: number
  readonly job: string
  /** Where it stands; null = it has no snapshot yet. */
  readonly position: { epoch: number, seq: number } | null
  /** The end of its job has been seen. */
  readonly ended: boolean
  /** The newest metrics heard. */
  readonly metrics: Record<string, unknown> | null
  /** Read so far. */
  readonly bytes: number
  /** Goes without a word and comes back. */
  drop (): void
  /** Stops and goes on reading its socket. */
  setReading (reading: boolean): void
  stop (): void
}

export interface WatcherParams {
  client: number
  job: string
  token: string
  /** http: address of a gateway to try now. */
  url: () => string
  recorder: Recorder
}

export function startWatcher ({ client, job, token, url, recorder }: WatcherParams): Watcher {
  let position: { epoch: number, seq: number } | null = null
  let metrics: Record<string, unknown> | null = null
  let ended = false
  let stopped = false
  let reading = true
  let connection = 0
  let tries = 0
  let bytes = 0
  let line: Line | null = null
  const open = client % STREAM_EACH === STREAM_EACH - 1 ? openStream : openSocket
  let timer: NodeJS.Timeout | undefined

  function connect (): void {
    if (stopped) return
    const number = ++connection
    const since = position === null ? null : `${position.epoch}.${position.seq}`
    const current = open({ base: url(), job, token, since, wait_ms: 20_000 }, {
      opened () {
        recorder.write({ k: 'open', client, connection: number, since })
        if (!reading) current.setReading(false)
      },
      heard (text) {
        if (stopped) return
        bytes += text.length
        const message = JSON.parse(text, withoutBulk) as Message
        recorder.write({ k: 'frame', client, connection: number, message })
        tries = 0
        if (message.type === 'error') {
          if (message['code'] === 'unknown_job') position = null // it was told; what comes now is another job
          return current.cut()
        }
        take(message)
      },
      refused (status) {
        recorder.write({ k: 'refused', client, connection: number, status })
        if (status === 404) position = null
      },
      closed (code, reason) {
        recorder.write({ k: 'close', client, connection: number, code, reason })
        if (line === current) line = null
        if (stopped || ended) return
        timer = setTimeout(connect, reconnectMs(code, reason, tries++))
      }
    })
    line = current
  }

  function take ({ type, seq = 0, data = {} }: Message): void {
    if (type === 'job.snapshot') {
      const view = data['job'] as Record<string, unknown>
      position = { epoch: data['epoch'] as number, seq }
      metrics = view
      ended = TERMINAL.includes(String(view['state']))
      return
    }
    if (position === null || !type.includes('.')) return
    position = { epoch: position.epoch, seq }
    if (type === 'job.progress') metrics = data
    if (TERMINAL.some(state => type === `job.${state}`)) {
      metrics = data
      ended = true
    }
  }

  connect()
  return {
    client,
    job,
    get position () { return position },
    get ended () { return ended },
    get metrics () { return metrics },
    get bytes () { return bytes },
    drop () { line?.cut() },
    setReading (wanted) {
      reading = wanted
      line?.setReading(reading)
    },
    stop () {
      stopped = true
      clearTimeout(timer)
      line?.cut()
    }
  }
}

/** Keeps what only makes volume out of the record. */
function withoutBulk (_: string, value: unknown): unknown {
  return typeof value === 'string' && value.length > TEXT_KEPT_MAX ? `${value.length} characters` : value
}
