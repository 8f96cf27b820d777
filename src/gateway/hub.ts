// The rooms of this gateway, one for each job that somebody here watches. A room is made by its first member and goes with
// its last; nothing in it is state that another gateway would miss.

import type { HeadwayError } from '../protocol/errors.ts'
import type { Registration, StoredJob } from '../protocol/job.ts'
import { type Frame, plainFrame } from './frame.ts'
import type { About } from './missed.ts'
import type { Reach } from './reach.ts'
import { createRoom, type Room } from './room.ts'
import { createRounds } from './rounds.ts'
import type { JoinOptions, Member, Place } from './seats.ts'
import { createShelf } from './shelf.ts'
import type { Tally } from './tally.ts'
import { createTenantRoom } from './tenant-room.ts'

/** Rooms read again at once after a lost connection: enough to be quick, few enough to leave Redis to others. */
const RECHECKS_AT_ONCE = 32
/** Partitions lose writes together, and say so one after the other. */
const EPOCHS_WITHIN_MS = 50
/** What rooms keep of their last read, for who joins next: at most so many rooms and bytes, each for so long. */
const KEPT_READS = { keep_ms: 5_000, count_max: 1_000, bytes_max: 64 * 1024 ** 2 }

export interface TenantSeat {
  /** Called once, right before the list. */
  joined: () => void
  send: (frame: Frame, about: About) => void
  /** Of a socket that had a list before: this one says `reset: true`. */
  again: boolean
  ended: (why: HeadwayError) => void
}

export interface Hub {
  /**
   * Watches a job: `joined`, a snapshot or what was logged after the cursor, then every change in order, until `ended` or leave.
   */
  join: (tenantId: string, jobId: string, member: Member, options: JoinOptions) => Place
  /** Watches every job of a tenant. @returns leave */
  joinTenant: (tenantId: string, member: TenantSeat) => () => void
  /** The newest state of a watched job, for when Redis is away; null = nobody here watches it. */
  peek: (tenantId: string, jobId: string) => { job: StoredJob, registration: Registration } | null
  /** Jobs and tenants that somebody here watches. */
  rooms: () => { jobs: number, tenants: number }
  start: () => void
  stop: () => void
}

export interface HubOptions {
  engine: Pick<Reach, 'subscribe' | 'subscribeTenant' | 'readJob' | 'listJobs' | 'onInterrupted' | 'onEpoch' | 'partitionOf' | 'hearing' | 'doubt'>
  tally: Tally
  progress_interval_ms: number
}

export function createHub ({ engine, tally, progress_interval_ms: progressMs }: HubOptions): Hub {
  const rooms = new Map<string, Room>()
  const tenants = new Map<string, ReturnType<typeof createTenantRoom>>()
  const shelf = createShelf(KEPT_READS)
  const rounds = createRounds()
  /** Partitions that have another epoch. */
  const raised = new Set<number>()
  let looking: NodeJS.Timeout | undefined
  let hooks: (() => void)[] = []

  // Ids hold no slash.
  const keyOf = (tenantId: string, jobId: string) => `${tenantId}/${jobId}`

  function roomOf (tenantId: string, jobId: string): Room {
    const key = keyOf(tenantId, jobId)
    const found = rooms.get(key)
    if (found !== undefined) return found
    const room: Room = createRoom({
      engine,
      shelf,
      tally,
      rounds,
      tenant_id: tenantId,
      job_id: jobId,
      progress_interval_ms: progressMs,
      onEmpty () { if (rooms.get(key) === room) rooms.delete(key) }
    })
    rooms.set(key, room)
    return room
  }

  function tenantRoomOf (tenantId: string): ReturnType<typeof createTenantRoom> {
    const found = tenants.get(tenantId)
    if (found !== undefined) return found
    const room = createTenantRoom({
      engine,
      tenant_id: tenantId,
      progress_interval_ms: progressMs,
      onEmpty () { if (tenants.get(tenantId) === room) tenants.delete(tenantId) }
    })
    tenants.set(tenantId, room)
    return room
  }

  /** A room says the same text to all its members in a row: one frame for them. */
  let newest: Frame = plainFrame('{}')
  function frameOf (text: string): Frame {
    if (newest.text !== text) newest = plainFrame(text)
    return newest
  }

  async function recheckAll (): Promise<void> {
    for (const room of tenants.values()) void room.recheck()
    await inTurn([...rooms.values()].values())
  }

  /** A job in which nothing happens has a new epoch too, and nobody publishes it. */
  async function recheckRaised (): Promise<void> {
    looking = undefined
    const partitions = new Set(raised)
    raised.clear()
    for (const room of tenants.values()) void room.recheck()
    const concerned = [...rooms.values()].filter(({ tenant_id: tenant, job_id: id }) => partitions.has(engine.partitionOf(tenant, id)))
    await inTurn(concerned.values())
  }

  async function inTurn (waiting: IterableIterator<Room>): Promise<void> {
    await Promise.all(Array.from({ length: RECHECKS_AT_ONCE }, async () => {
      for (const room of waiting) await room.recheck()
    }))
  }

  return {
    join: (tenantId, jobId, member, options) => roomOf(tenantId, jobId).join(member, options),
    joinTenant: (tenantId, { joined, again, send, ended }) => {
      return tenantRoomOf(tenantId).join({ joined, again, send: ({ text, about }) => send(frameOf(text), about), ended })
    },
    peek: (tenantId, jobId) => rooms.get(keyOf(tenantId, jobId))?.peek() ?? null,
    rooms: () => ({ jobs: rooms.size, tenants: tenants.size }),
    start () {
      hooks = [
        engine.onInterrupted(() => { void recheckAll() }),
        engine.onEpoch(partition => {
          raised.add(partition)
          looking ??= setTimeout(() => { void recheckRaised() }, EPOCHS_WITHIN_MS)
        })
      ]
    },
    stop () {
      for (const unhook of hooks) unhook()
      clearTimeout(looking)
      for (const room of rooms.values()) room.close()
      for (const room of tenants.values()) room.close()
    }
  }
}
