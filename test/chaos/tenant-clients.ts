// Those of a run who watch all jobs of the tenant: plain clients that write down every message, come back, and get the list again.
// They judge nothing; of each job they keep the greater (epoch, rev), as the protocol says.

import { openTenant, type Line } from './connections.ts'
import { reconnectMs } from './reconnect.ts'
import type { Message, Recorder } from './record.ts'

interface Position { epoch: number, rev: number }

export interface TenantWatcher {
  readonly client: number
  /** It has the list of the connection that it has now. */
  readonly live: boolean
  /** Where each job stands, by id. */
  readonly positions: ReadonlyMap<string, Position>
  /** Goes without a word and comes back. */
  drop (): void
  /** Stops and goes on reading its socket. */
  setReading (reading: boolean): void
  stop (): void
}

export interface TenantWatcherParams {
  client: number
  token: string
  /** http: address of a gateway to try now. */
  url: () => string
  recorder: Recorder
}

export function startTenantWatcher ({ client, token, url, recorder }: TenantWatcherParams): TenantWatcher {
  let positions = new Map<string, Position>()
  let live = false
  let stopped = false
  let reading = true
  let connection = 0
  let tries = 0
  let line: Line | null = null
  let timer: NodeJS.Timeout | undefined

  function connect (): void {
    if (stopped) return
    const number = ++connection
    const current = openTenant({ base: url(), token }, {
      opened () {
        recorder.write({ k: 'open', client, connection: number, since: null })
        if (!reading) current.setReading(false)
      },
      heard (text) {
        if (stopped) return
        const message = JSON.parse(text) as Message
        recorder.write({ k: 'frame', client, connection: number, message })
        if (message.type === 'error') return current.cut()
        take(message)
      },
      refused (status) { recorder.write({ k: 'refused', client, connection: number, status }) },
      closed (code, reason) {
        recorder.write({ k: 'close', client, connection: number, code, reason })
        if (line === current) line = null
        live = false
        if (!stopped) timer = setTimeout(connect, reconnectMs(code, reason, tries++))
      }
    })
    line = current
  }

  function take ({ type, data = {} }: Message): void {
    if (type === 'tenant.snapshot') {
      positions = new Map((data['jobs'] as ({ id: string } & Position)[]).map(({ id, epoch, rev }) => [id, { epoch, rev }]))
      live = true
      tries = 0
    } else if (type === 'tenant.job_changed') {
      const { id, epoch, rev } = data['job'] as { id: string } & Position
      const known = positions.get(id)
      if (known === undefined || epoch > known.epoch || (epoch === known.epoch && rev > known.rev)) positions.set(id, { epoch, rev })
    }
  }

  connect()
  return {
    client,
    get live () { return live },
    get positions () { return positions },
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
