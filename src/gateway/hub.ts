// The rooms of this gateway, one for each job that somebody here watches. A room is made by its first member and goes with
// its last; nothing in it is state that another gateway would miss.

import type { Registration, StoredJob } from '../protocol/job.ts'
import type { Reach } from './reach.ts'
import { createRoom, type Room } from './room.ts'
import type { Member } from './seats.ts'

/** Rooms read again at once after a lost connection: enough to be quick, few enough to leave Redis to others. */
const RECHECKS_AT_ONCE = 32

export interface Hub {
  /**
   * Watches a job: `joined`, a snapshot, then every change in order, until `ended` or leave.
   * @param waitMs how long a job that is not registered yet is waited for; 0 = not at all
   * @returns leave
   */
  join: (tenantId: string, jobId: string, member: Member, waitMs: number) => () => void
  /** The newest state of a watched job, for when Redis is away; null = nobody here watches it. */
  peek: (tenantId: string, jobId: string) => { job: StoredJob, registration: Registration } | null
  start: () => void
  stop: () => void
}

export function createHub ({ engine }: { engine: Pick<Reach, 'subscribe' | 'readJob' | 'onInterrupted'> }): Hub {
  const rooms = new Map<string, Room>()
  let unhook = () => {}

  // Ids hold no slash.
  const keyOf = (tenantId: string, jobId: string) => `${tenantId}/${jobId}`

  function roomOf (tenantId: string, jobId: string): Room {
    const key = keyOf(tenantId, jobId)
    const found = rooms.get(key)
    if (found !== undefined) return found
    const room: Room = createRoom({
      engine,
      tenant_id: tenantId,
      job_id: jobId,
      onEmpty () { if (rooms.get(key) === room) rooms.delete(key) }
    })
    rooms.set(key, room)
    return room
  }

  async function recheckAll (): Promise<void> {
    const waiting = rooms.values()
    await Promise.all(Array.from({ length: RECHECKS_AT_ONCE }, async () => {
      for (const room of waiting) await room.recheck()
    }))
  }

  return {
    join: (tenantId, jobId, member, waitMs) => roomOf(tenantId, jobId).join(member, waitMs),
    peek: (tenantId, jobId) => rooms.get(keyOf(tenantId, jobId))?.peek() ?? null,
    start () { unhook = engine.onInterrupted(() => { void recheckAll() }) },
    stop () {
      unhook()
      for (const room of rooms.values()) room.close()
    }
  }
}
