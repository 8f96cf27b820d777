// A room: the sockets of this gateway that watch one job, and the position all of them have reached.
//
// Joining without a race: the channel is heard first, then the job is read, and what arrives meanwhile is kept in a buffer that
// belongs to the read; who joins during a read shares it. A snapshot goes out, or what was logged after the member's cursor, then
// what in the buffer is newer. Live members never wait for a join, only for a *recheck*: a message that does not continue the
// position, or a connection that was lost, means that something may be missing. The room falls silent and reads; the log gives
// what was missed, or, when it does not reach back, a snapshot with `reset: true` replaces it.
//
// A member whose socket is behind leaves the live ones with a cursor, gets nothing, and comes back like any other joiner.

import type { FeedMessage, JobRead } from '../engine/engine.ts'
import type { Cursor } from '../protocol/cursor.ts'
import type { Registration, StoredJob } from '../protocol/job.ts'
import { HeadwayError } from '../protocol/errors.ts'
import { isTerminal } from '../protocol/states.ts'
import { itemProgressMessage, progressMessage } from '../protocol/view.ts'
import { covers, framesAfter, snapshotFrame } from './catch-up.ts'
import { encodeUpdate, type Shown, shownOf } from './encode.ts'
import { type Frame, jobFrame } from './frame.ts'
import { createLane, type Held, type Lane, laneInterval } from './lane.ts'
import { toHeadwayError } from './problem.ts'
import type { Reach } from './reach.ts'
import { createWaitingRoom, endAll, type Member, type Seat, unknownJob } from './seats.ts'

/** Messages kept during one read. Beyond: dropped, and the job is read again, which covers them. */
const BUFFER_MESSAGES_MAX = 1_000
const RETRY_MS_MIN = 250
const RETRY_MS_MAX = 5_000
/** The cursor of a member that is to get a snapshot with `reset: true`: no epoch is that old. */
const LOST: Cursor = { epoch: 0, seq: 0 }

export interface RoomOptions {
  engine: Pick<Reach, 'subscribe' | 'readJob'>
  tenant_id: string
  job_id: string
  /** Progress goes out at most so often. */
  progress_interval_ms: number
  /** Called once, when nobody is left. */
  onEmpty: () => void
}

export interface JoinOptions {
  /** How long a job that is not registered yet is waited for; 0 = it is unknown. */
  wait_ms?: number
  /** Null = a snapshot. */
  since?: Cursor | null
  /** Progress at most so often; the room's own interval is the least. */
  min_interval_ms?: number
}

export interface Place {
  /** The member hears nothing of it. */
  leave: () => void
  /** Its socket is behind no longer: it gets what it missed. */
  resume: () => void
}

export interface Room {
  join: (member: Member, options?: JoinOptions) => Place
  /** Something may have been missed: reads the job again and tells the members when it has moved. */
  recheck: () => Promise<void>
  /** The newest state heard of; null = none yet. */
  peek: () => { job: StoredJob, registration: Registration } | null
  close: () => void
}

interface Read {
  /** Live members wait for it too. */
  reset: boolean
  joiners: Set<Seat>
  /** Seq behind which the log is read; null = not at all. */
  after: number | null
  buffer: { message: FeedMessage, frames: readonly Frame[] }[]
  /** Something may have been missed since it began. */
  again: boolean
  done: () => void
  settled: Promise<void>
}

export function createRoom (options: RoomOptions): Room {
  const { engine, tenant_id: tenant, job_id: id, progress_interval_ms: progressMs, onEmpty } = options
  const live = new Set<Seat>()
  const behind = new Set<Seat>()
  /** By interval. */
  const lanes = new Map<number, Lane>()
  /** Joiners for whom the read that just ended began too late. */
  const later = new Set<Seat>()
  const absent = createWaitingRoom({ job_id: id, onGaveUp: closeIfEmpty })
  let known: { job: StoredJob, registration: Registration, shown: Shown } | null = null
  let reading: Read | null = null
  /** The last read failed: nothing that arrives can be trusted to continue the position. */
  let suspect = false
  let retry: NodeJS.Timeout | undefined
  let failures = 0
  let closed = false

  /** A failure shows in the first read, which tells the joiners. */
  const opened: Promise<() => void> = engine.subscribe(tenant, id, hear)

  function close (): void {
    if (closed) return
    closed = true
    clearTimeout(retry)
    absent.close()
    for (const lane of lanes.values()) lane.clear()
    opened.then(leave => leave(), () => {})
    reading?.done()
    onEmpty()
  }

  function closeIfEmpty (): void {
    const here = live.size + behind.size + absent.size + later.size + (reading?.joiners.size ?? 0)
    if (here === 0) close()
  }

  // --- what the channel says

  function hear (message: FeedMessage): void {
    if (closed || suspect) return
    const held = reading?.reset === true
    const frames = held ? [] : advance(message)
    if (reading !== null && !reading.again) {
      reading.buffer.push({ message, frames })
      if (reading.buffer.length > BUFFER_MESSAGES_MAX) {
        reading.buffer.length = 0
        reading.again = true
      }
    } else if (reading === null && message.type === 'update' && absent.size > 0) {
      startRead(false, absent.take())
    }
  }

  /** @returns the events that live members were sent; empty when it was old, or when it does not continue the position */
  function advance (message: FeedMessage): readonly Frame[] {
    if (known === null) return []
    const { epoch, seq, rev } = known.job
    if (message.type === 'gone') {
      if (message.epoch >= epoch) vanish()
      closeIfEmpty()
      return []
    }
    if (message.epoch === epoch && message.job.rev <= rev) return []
    if (message.epoch !== epoch || message.seq_from !== seq + 1) {
      void recheck()
      return []
    }
    const registration = message.registration ?? known.registration
    const { frames, due, items } = encodeUpdate(message, registration.item_kind, known.shown)
    const changes = message.events.some(({ event }) => event === 'state_changed')
    for (const lane of lanes.values()) {
      if (changes) lane.flush() // still of the job before the change
      for (const event of message.events) if (event.event === 'item') lane.discardItem(event.item.id)
    }
    known = { job: message.job, registration, shown: shownOf(message.job) }
    for (const seat of live) if (message.job.rev > seat.covered_rev) tell(seat, frames)
    const ended = isTerminal(message.job.state)
    for (const lane of lanes.values()) {
      if (ended) lane.clear()
      else lane.hold(due, items)
    }
    return frames
  }

  /** The job is not there any more. */
  function vanish (): void {
    const ended = known !== null && isTerminal(known.job.state)
    known = null
    const leaving = new Set([...live, ...behind])
    for (const lane of lanes.values()) {
      lane.clear()
      lane.seats.clear()
    }
    live.clear()
    behind.clear()
    endAll(leaving, ended ? null : unknownJob(id))
  }

  // --- what members hear

  /** @returns false when the socket is behind; the seat then waits with the position it had */
  function tell (seat: Seat, frames: readonly Frame[]): boolean {
    for (const frame of frames) {
      if (seat.member.send(frame)) continue
      if (live.delete(seat)) lanes.get(seat.interval_ms)?.seats.delete(seat)
      seat.since = frame.before_seq === null || known === null ? LOST : { epoch: known.job.epoch, seq: frame.before_seq }
      behind.add(seat)
      return false
    }
    return true
  }

  function laneOf (intervalMs: number): Lane {
    const found = lanes.get(intervalMs)
    if (found !== undefined) return found
    const lane = createLane({ interval_ms: intervalMs, write: sayProgress })
    lanes.set(intervalMs, lane)
    return lane
  }

  /** Of the job as it stands now, so nothing that goes out is older than an event before it. */
  function sayProgress (seats: Set<Seat>, held: Held): void {
    if (known === null || seats.size === 0) return
    const { job, registration: { item_kind: kind } } = known
    const frames = [...held.items.values()].map(line => jobFrame(itemProgressMessage(job, kind, line)))
    if (held.job) frames.push(jobFrame(progressMessage(job, job.updated_at)))
    for (const seat of seats) if (job.rev > seat.covered_rev) tell(seat, frames)
  }

  // --- reads

  function startRead (reset: boolean, joiners: Set<Seat>): Read {
    let done = () => {}
    const settled = new Promise<void>(resolve => { done = resolve })
    const cursors = [...joiners].flatMap(({ since }) => since === null || since === LOST ? [] : [since.seq])
    const after = reset && known !== null ? known.job.seq : cursors.length > 0 ? Math.min(...cursors) : null
    const read: Read = { reset, joiners, after, buffer: [], again: false, done, settled }
    reading = read
    suspect = false
    clearTimeout(retry)
    opened.then(() => engine.readJob(tenant, id, after ?? undefined)).then(found => finish(read, found), error => fail(read, error))
    return read
  }

  function finish (read: Read, found: JobRead | null): void {
    if (closed) return
    // A promoted node that lacks what the room has told already, before the next drain issues the new epoch: (epoch, rev) must not go back.
    if (read.reset && found !== null && known?.job.epoch === found.job.epoch && found.job.rev < known.job.rev) {
      return fail(read, new HeadwayError('redis_unavailable', 'Redis has lost writes and is about to say so; repeat the request in a moment.'))
    }
    reading = null
    failures = 0
    if (read.again) {
      startRead(true, read.joiners).settled.then(read.done)
      return
    }
    if (found === null) {
      unknown(read)
    } else {
      for (const seat of absent.take()) read.joiners.add(seat)
      if (known === null || read.reset) reposition(read, found)
      else admit(read, found)
    }
    read.done()
    if (!closed) closeIfEmpty()
  }

  /** The job is not there. Whoever may wait does; a registration that came in meanwhile is read at once. */
  function unknown (read: Read): void {
    vanish()
    for (const seat of read.joiners) if (absent.add(seat)) read.joiners.delete(seat)
    endAll(read.joiners, unknownJob(id))
    if (absent.size > 0 && read.buffer.some(({ message }) => message.type === 'update')) startRead(false, absent.take())
  }

  /** First read of the room, or a recheck: everybody stands where the read stands. */
  function reposition (read: Read, found: JobRead): void {
    const was = known?.job
    const { job, registration } = found
    known = { job, registration, shown: shownOf(job) }
    if (was !== undefined && (was.epoch !== job.epoch || was.rev !== job.rev)) {
      for (const lane of lanes.values()) lane.clear()
      const missed = framesAfter({ epoch: was.epoch, seq: was.seq }, read.after, found) ?? [snapshotFrame(found, true)]
      for (const seat of live) {
        const { covered_rev: ownRev, covered_at: at } = seat
        seat.covered_rev = 0
        if (at === null || ownRev <= was.rev) tell(seat, missed)
        // It joined from a read that was newer than the room: it has some of what the room missed, or all.
        else if (at.epoch !== job.epoch || ownRev < job.rev) tell(seat, framesAfter(at, read.after, found) ?? [snapshotFrame(found, true)])
      }
    }
    seatJoiners(read, found, 0)
    for (const { message } of read.buffer) {
      advance(message)
      // A gap began another read, which covers the rest.
      if (reading !== null || closed) return
    }
  }

  /** The room is live and goes on; joiners catch up with it from what the read kept. */
  function admit (read: Read, found: JobRead): void {
    const joined = seatJoiners(read, found, found.job.rev)
    for (const { message, frames } of read.buffer) {
      if (message.type === 'gone' || message.epoch !== found.job.epoch || message.job.rev <= found.job.rev) continue
      for (const seat of joined) if (live.has(seat)) tell(seat, frames)
    }
    // Progress that went out meanwhile they have not heard.
    if (known === null || known.job.rev <= found.job.rev || isTerminal(known.job.state)) return
    const progress = [jobFrame(progressMessage(known.job, known.job.updated_at))]
    for (const seat of joined) if (live.has(seat)) tell(seat, progress)
  }

  function seatJoiners (read: Read, found: JobRead, coveredRev: number): Seat[] {
    const joined = [...read.joiners]
    read.joiners.clear()
    const snapshots = { plain: null as Frame | null, reset: null as Frame | null }
    const seated: Seat[] = []
    for (const seat of joined) {
      const since = seat.since
      if (since !== null && !covers(since, read.after, found)) {
        // Another position than the one that was read for: this one needs a read of its own.
        later.add(seat)
        continue
      }
      const missed = since === null ? null : framesAfter(since, read.after, found)
      seat.covered_rev = coveredRev
      seat.covered_at = { epoch: found.job.epoch, seq: found.job.seq }
      live.add(seat)
      laneOf(seat.interval_ms).seats.add(seat)
      if (!seat.joined) seat.member.joined(missed !== null)
      seat.joined = true
      seated.push(seat)
      if (missed !== null) tell(seat, missed)
      else if (since === null) tell(seat, [snapshots.plain ??= snapshotFrame(found, false)])
      else tell(seat, [snapshots.reset ??= snapshotFrame(found, true)])
    }
    if (later.size > 0) {
      queueMicrotask(() => {
        if (closed || later.size === 0) return
        const again = new Set(later)
        later.clear()
        if (reading === null) startRead(suspect, again)
        else for (const seat of again) reading.joiners.add(seat)
      })
    }
    return seated
  }

  function fail (read: Read, error: unknown): void {
    if (closed) return
    reading = null
    endAll(read.joiners, toHeadwayError(error))
    read.done()
    if (live.size > 0 && (read.reset || read.again)) {
      suspect = true
      const most = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** failures++)
      retry = setTimeout(() => startRead(true, new Set()), most / 2 + Math.random() * most / 2)
    }
    if (!closed) closeIfEmpty()
  }

  function recheck (): Promise<void> {
    if (closed) return Promise.resolve()
    if (reading !== null) {
      reading.again = true
      return reading.settled
    }
    if (known === null && absent.size === 0) return Promise.resolve()
    return startRead(true, absent.take()).settled
  }

  function enter (seat: Seat): void {
    if (reading !== null) reading.joiners.add(seat)
    else startRead(suspect, new Set([seat]))
  }

  function join (member: Member, { wait_ms: waitMs = 0, since = null, min_interval_ms: minMs = 0 }: JoinOptions = {}): Place {
    const seat: Seat = {
      member,
      since,
      joined: false,
      interval_ms: laneInterval(progressMs, minMs),
      covered_rev: 0,
      covered_at: null,
      wait_until: performance.now() + waitMs
    }
    enter(seat)
    return {
      leave () {
        live.delete(seat)
        lanes.get(seat.interval_ms)?.seats.delete(seat)
        behind.delete(seat)
        later.delete(seat)
        absent.delete(seat)
        reading?.joiners.delete(seat)
        if (!closed) closeIfEmpty()
      },
      resume () { if (behind.delete(seat)) enter(seat) }
    }
  }

  return { join, recheck, peek: () => known, close }
}
