// Which partitions this persister works on: its fair share of those whose lease it can have. With one persister all of them; when
// one dies the others have its partitions after a lease's time; one whose key or rights are wrong leaves them to those that can write,
// and keeps them while nobody can, so that somebody tells how much waits.

import type { Leases, Log } from '../engine/engine.ts'
import type { Meters } from './meters.ts'

export interface Holder {
  start (): Promise<void>
  /** Gives the leases back. Idempotent. */
  stop (): Promise<void>
  mine (): readonly number[]
}

export interface HolderParams { leases: Leases, name: string, partitions: number, lease_ms: number, meters: Meters, log: Log }

export function createHolder ({ leases, name, partitions, lease_ms: leaseMs, meters, log }: HolderParams): Holder {
  let mine: number[] = []
  let timer: NodeJS.Timeout | undefined
  let renewing: Promise<void> | undefined

  async function renew (): Promise<void> {
    const barred = meters.fault === 'configuration'
    const alive = barred ? await leases.retire(name, leaseMs) : await leases.announce(name, leaseMs)
    const share = barred && alive > 0 ? 0 : Math.ceil(partitions / Math.max(1, alive))
    const next: number[] = []
    for (const partition of mine) {
      if (next.length >= share) await leases.release(partition, name)
      else if (await leases.hold(partition, name, leaseMs)) next.push(partition)
    }
    // Each begins to look at another place, so that several that start together do not all ask for the same.
    const first = Math.floor(Math.random() * partitions)
    for (let n = 0; n < partitions && next.length < share; n++) {
      const partition = (first + n) % partitions
      if (!next.includes(partition) && await leases.hold(partition, name, leaseMs)) next.push(partition)
    }
    next.sort((a, b) => a - b)
    if (next.join() !== mine.join()) log.info({ event: 'partitions_held', partitions: next, persisters: alive }, `works on ${next.length} of ${partitions} partitions`)
    mine = next
    meters.leased(mine)
  }

  async function attempt (): Promise<void> {
    try {
      await renew()
    } catch (error) {
      // Without Redis nothing can be read either; what is held stays until then.
      log.debug({ event: 'leases_not_renewed', err: error }, 'leases were not renewed; the next time tries again')
    }
  }

  return {
    async start () {
      await attempt()
      timer = setInterval(() => { renewing ??= attempt().finally(() => { renewing = undefined }) }, leaseMs / 3)
    },
    async stop () {
      clearInterval(timer)
      await renewing
      const held = mine
      mine = []
      try {
        await leases.retire(name, leaseMs)
        for (const partition of held) await leases.release(partition, name)
      } catch {} // they run out
    },
    mine: () => mine
  }
}
