// The checker's view of one client: walks its frames in the order in which they came and says what the protocol does not allow.
// Nothing is imported from the program under test, so that a mistake there cannot excuse itself here.

import { whatOf, type Line, type Message, type Rules } from './record.ts'

const TERMINAL = ['completed', 'failed', 'canceled']
const SETTLED = ['completed', 'failed', 'skipped', 'canceled']

export interface Stats {
  frames: number
  connections: number
  resumed: number
  snapshots: number
  resets: number
  /** The longest time from the end of a connection to the first message on the next. */
  away_ms_max: number
}

/** What a client knew when the run was over. */
export interface LastSeen {
  client: number
  job: string
  epoch: number | null
  seq: number
  rev: number
  ended: boolean
  metrics: Record<string, unknown> | null
  /** Percent of items, as last heard. */
  percents: Map<string, number>
}

export interface ClientWalk {
  take (line: Line): void
  readonly last: LastSeen
  readonly stats: Stats
}

export interface ClientWalkParams {
  client: number
  job: string
  rules: Rules
  fault: (text: string) => void
  /** Tells what stood at a position, so that all clients can be held against each other and against the log. */
  saw: (epoch: number, seq: number, what: string) => void
}

export function walkClient ({ client, job, rules, fault, saw }: ClientWalkParams): ClientWalk {
  const last: LastSeen = { client, job, epoch: null, seq: 0, rev: 0, ended: false, metrics: null, percents: new Map() }
  const stats: Stats = { frames: 0, connections: 0, resumed: 0, snapshots: 0, resets: 0, away_ms_max: 0 }
  /** Attempt with which an item was settled. */
  const settled = new Map<string, number>()
  let connection = 0
  /** When it lost its connection; null = it hears. */
  let leftAt: number | null = null
  let since: string | null = null
  let fresh = false
  /** It was told that its job is gone: what comes next may be another. */
  let forgotten = false
  /** It went on at a gateway that may not have heard yet what another one told; see docs/protocol.md. */
  let lagging = false

  function snapshot (message: Message, at: string): void {
    const data = message.data ?? {}
    const { epoch, reset } = data as { epoch: number, reset: boolean }
    const view = data['job'] as Record<string, unknown>
    const begins = fresh && since === null
    stats.snapshots++
    if (reset) stats.resets++
    if (begins && reset) fault(`${at}: reset, though it asked for a snapshot`)
    if (!begins && !reset) fault(`${at}: a snapshot without reset ${fresh ? `after since=${since}` : 'in the middle'}`)
    if (last.epoch !== null) {
      if (epoch < last.epoch) fault(`${at}: epoch ${epoch} after ${last.epoch}`)
      if (epoch > last.epoch && !rules.new_epochs) fault(`${at}: a new epoch, though nothing was lost`)
      if (epoch === last.epoch) sameEpoch(message, at, reset)
    }
    Object.assign(last, { epoch, seq: message.seq, rev: message.rev, ended: TERMINAL.includes(String(view['state'])), metrics: view })
    settled.clear()
    last.percents.clear()
    for (const item of data['items'] as Record<string, unknown>[]) keepItem(item)
    forgotten = false
  }

  function sameEpoch ({ seq = 0, rev = 0 }: Message, at: string, reset: boolean): void {
    if (reset && !rules.resets) fault(`${at}: reset, though the log reaches back`)
    if (last.ended && !fresh) fault(`${at} after the end`)
    if (rev < last.rev) fault(`${at}: rev ${rev} after ${last.rev}`)
    if (seq < last.seq) fault(`${at}: seq ${seq} after ${last.seq}`)
  }

  function keepItem (item: Record<string, unknown>): void {
    const id = String(item['id'])
    last.percents.set(id, Number(item['percent_complete']))
    if (SETTLED.includes(String(item['state']))) settled.set(id, Number(item['attempt']))
  }

  function event (message: Message, at: string): void {
    const { type, seq = 0, rev = 0, data = {} } = message
    if (last.epoch === null || forgotten) return fault(`${at} before any snapshot`)
    if (last.ended) fault(`${at} after the end`)
    const isProgress = type.endsWith('.progress')
    lagging &&= isProgress && rev < last.rev
    if (rev < last.rev && !lagging) fault(`${at}: rev ${rev} after ${last.rev}`)
    if (isProgress) {
      if (seq !== last.seq) fault(`${at}: progress of seq ${seq} at seq ${last.seq}`)
      if (lagging) return
    } else {
      if (seq !== last.seq + 1) fault(`${at}: ${seq <= last.seq ? 'a repeat or a step back' : 'a gap'}, it stood at ${last.seq}`)
      saw(last.epoch, seq, whatOf(type, data))
    }
    if (!type.startsWith('job.')) {
      const id = String(data['id'])
      if (isProgress && (settled.get(id) ?? 0) >= Number(data['attempt'])) fault(`${at}: progress of ${id}, which was settled before`)
      keepItem(data)
    }
    last.seq = seq
    last.rev = rev
    const final = TERMINAL.some(state => type === `job.${state}`)
    if (type === 'job.progress' || final) last.metrics = data
    last.ended ||= final
  }

  function frame (message: Message): void {
    const { type } = message
    const at = `client ${client} of ${job}, connection ${connection}: ${type} ${message.seq ?? ''}`.trimEnd()
    stats.frames++
    if (type === 'error') {
      if (message['code'] !== 'unknown_job') return
      forgotten = true
      if (!rules.unknown) fault(`${at}: was told that the job is unknown`)
      return
    }
    if (!type.includes('.') || message.seq === undefined) return
    if (message.job_id !== job) fault(`${at}: a message of ${String(message.job_id)}`)
    if (type === 'job.snapshot') snapshot(message, at)
    else event(message, at)
    fresh = false
  }

  function isBack (awayMs: number): void {
    stats.away_ms_max = Math.max(stats.away_ms_max, awayMs)
    const { away_ms_max: most } = rules
    if (most !== null && awayMs > most) fault(`client ${client} of ${job}, connection ${connection}: heard nothing for ${awayMs} ms, at most ${most}`)
  }

  return {
    last,
    stats,
    take (line) {
      if (line.k === 'open') {
        connection = line.connection
        since = line.since
        fresh = true
        lagging = since !== null
        stats.connections++
        if (since !== null) stats.resumed++
      } else if (line.k === 'close') {
        if (!last.ended) leftAt ??= line.t
      } else if (line.k === 'frame') {
        if (leftAt !== null) isBack(line.t - leftAt)
        leftAt = null
        frame(line.message)
      } else if (line.k === 'refused' && line.status === 404) {
        forgotten = true
        if (!rules.unknown) fault(`client ${client} of ${job}, connection ${line.connection}: 404`)
      }
    }
  }
}
