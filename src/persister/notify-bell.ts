// The doorbell of a plain Postgres: NOTIFY, on a connection of its own that is made anew whenever it ends.

import pg from 'pg'
import { createBackoff } from './backoff.ts'
import type { BellParams, Doorbell } from './inbox.ts'

export interface NotifyBellOptions { url: string, connect_timeout_ms?: number, retry_first_ms?: number, retry_max_ms?: number }

export function createNotifyBell (options: NotifyBellOptions, { ring, onRenewal }: BellParams): Doorbell {
  const { url: connectionString, connect_timeout_ms: connectionTimeoutMillis = 5_000 } = options
  const backoff = createBackoff(options.retry_first_ms ?? 500, options.retry_max_ms ?? 15_000)
  let client: pg.Client | null = null
  let live = false
  let again: NodeJS.Timeout | undefined
  let stopped = false
  let renewals = 0

  async function open (): Promise<void> {
    const own = new pg.Client({ connectionString, connectionTimeoutMillis, application_name: 'headway-doorbell', keepAlive: true })
    client = own
    own.on('error', (error) => { renew(own, error.message) })
    own.on('end', () => { renew(own, 'the connection ended') })
    own.on('notification', ring)
    try {
      await own.connect()
      await own.query('listen headway_inbound')
      if (own !== client) return
      live = true
      backoff.reset()
      ring() // for what came before it listened
    } catch (error) {
      renew(own, (error as Error).message)
    }
  }

  function renew (own: pg.Client, why: string): void {
    if (own !== client || stopped) return
    client = null
    live = false
    renewals++
    void own.end().catch(() => {})
    onRenewal(why)
    again = setTimeout(() => { void open() }, backoff.next())
  }

  return {
    get live () { return live },
    get renewals () { return renewals },
    start () { void open() },
    async stop () {
      stopped = true
      live = false
      clearTimeout(again)
      const own = client
      client = null
      await own?.end().catch(() => {})
    },
    missed () { if (client !== null) renew(client, 'rows came without a ring') }
  }
}
