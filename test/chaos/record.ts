// What a run writes down, one JSON object a line, and what the checker reads. The two share nothing else: the checker never
// sees the program under test, nor Redis.

import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'

export type Counters = Record<'items_total' | 'items_completed' | 'items_failed' | 'items_skipped' | 'items_canceled', number>

/** What the plan says a job must be in the end. */
export interface Expected {
  job: string
  state: string
  /** Null = what a cancel left over is not known beforehand. */
  counters: Counters | null
  items_total: number
  /** State and attempt by item; percent of those that stay open. */
  items: Record<string, { state: string, attempt: number, percent?: number }>
}

export interface Rules {
  fault: string
  seed: number
  quick: boolean
  /** A fault that may lose what Redis had not saved or copied: a job then goes on in a new epoch. */
  new_epochs: boolean
  /** Snapshots with reset within an epoch, because the log cannot reach back. */
  resets: boolean
  /** A job may be unknown for a while. */
  unknown: boolean
  rss_bytes_max: number
  /** From the end of a connection to the first message on the next; null = as long as it takes. */
  away_ms_max: number | null
}

/** A message from a gateway, as it came. */
export interface Message {
  type: string
  seq?: number
  rev?: number
  job_id?: string
  data?: Record<string, unknown>
  [field: string]: unknown
}

/** A logged event, as Redis keeps it. */
export interface Logged { seq: number, rev: number, what: string }

export type Line =
  | { k: 'run', rules: Rules, expected: Expected[], clients: { client: number, job: string }[], tenant_clients: number[] }
  | { k: 'open', t: number, client: number, connection: number, since: string | null }
  | { k: 'frame', t: number, client: number, connection: number, message: Message }
  | { k: 'close', t: number, client: number, connection: number, code: number, reason: string }
  | { k: 'refused', t: number, client: number, connection: number, status: number }
  | { k: 'fault', t: number, what: string }
  | { k: 'note', t: number, what: string }
  | { k: 'rss', t: number, pid: number, bytes: number }
  /** What Redis holds in the end; `view` null = nothing. */
  | { k: 'final', job: string, view: Record<string, unknown> | null, items: Record<string, unknown>[], log: Logged[], log_whole: boolean }
  | { k: 'end', t: number, refused: string[] }

/** Omit that keeps a union apart. */
type Untimed<T> = T extends { t: number } ? Omit<T, 't'> : T

export interface Recorder {
  readonly file: string
  /** Adds the time where the line has one. */
  write (line: Untimed<Line>): void
  close (): void
}

export function createRecorder (file: string): Recorder {
  const handle = openSync(file, 'w')
  const begun = performance.now()
  let lines: string[] = []
  const flush = (): void => {
    if (lines.length > 0) writeSync(handle, lines.join(''))
    lines = []
  }
  return {
    file,
    write (line) {
      lines.push(`${JSON.stringify({ t: Math.round((performance.now() - begun) * 10) / 10, ...line })}\n`)
      if (lines.length >= 200) flush()
    },
    close () {
      flush()
      closeSync(handle)
    }
  }
}

/** @throws Error naming the line that cannot be read */
export function readRecord (file: string): Line[] {
  return readFileSync(file, 'utf8').split('\n').filter(text => text !== '').map((text, n) => {
    try {
      return JSON.parse(text) as Line
    } catch (cause) {
      throw new Error(`${file}, line ${n + 1} is no JSON`, { cause })
    }
  })
}

/** One word for a logged event: its type, and for an item which and what of it. The same for a frame and for the log. */
export function whatOf (type: string, data: Record<string, unknown> = {}): string {
  if (type === 'job.state_changed') return `${type} ${String(data['prior_state'])} ${String(data['new_state'])}`
  return type.startsWith('job.') ? type : `${type} ${String(data['id'])} #${String(data['attempt'])}`
}
