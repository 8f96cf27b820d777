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
import { type Cursor, formatCursor } from '../protocol/cursor.ts'
import type { Registration, StoredJob } from '../protocol/job.ts'
import { HeadwayError } from '../protocol/errors.ts'
import { isTerminal } from '../protocol/states.ts'
import { createAudience } from './audience.ts'
import { CatchUp } from './catch-up.ts'
import { encodeUpdate } from './encode.ts'
import type { Frame } from './frame.ts'
import { laneInterval } from './lane.ts'
import { toHeadwayError } from './problem.ts'
import type { Reach } from './reach.ts'
import { createLobby } from './lobby.ts'
import type { Rounds } from './rounds.ts'
import type { Shelf } from './shelf.ts'
import { moveTo, type Standing, standingAt } from './standing.ts'
import { type Tally, tellAge } from './tally.ts'
import { traceTold } from './trace-told.ts'
import { createSeat, createWaitingRoom, endAll, type JoinOptions, type Member, type Place, type Seat, unknownJob } from './seats.ts'

/** Messages kept during one read. Beyond: dropped, and the job is read again, which covers them. */
const BUFFER_MESSAGES_MAX = 1_000
/** Messages kept after it, for who joins next. Beyond: all is dropped, and who joins next reads again. */
const KEPT_MESSAGES_MAX = 128
const RETRY_MS_MIN = 250
const RETRY_MS_MAX = 5_000
/** How long a job that Redis has lost may take to come back (sent again, put back) before its watchers are told that it is gone. */
const PATIENCE_MS = 60_000

export interface RoomOptions {
  engine: Pick<Reach, 'subscribe' | 'readJob' | 'hearing' | 'doubt'>
  /** Bounds what all rooms keep of their last read. */
  shelf: Shelf
  tally: Tally
  /** What large rooms are still to be told. */
  rounds: Rounds
  tenant_id: string
  job_id: string
  /** Progress goes out at most so often. */
  progress_interval_ms: number
  /** A job that was not seen to end and is not there is waited for; absent = a minute. */
  patience_ms?: number
  /** Called once, when nobody is left. */
  onEmpty: () => void
}

export interface Room {
  readonly tenant_id: string
  readonly job_id: string
  join: (member: Member, options?: JoinOptions) => Place
  /** Something may have been missed: reads the job again and tells the members when it has moved. */
  recheck: () => Promise<void>
  /** The newest state heard of; null = none yet. */
  peek: () => { job: StoredJob, registration: Registration } | null
  close: () => void
}

type Position = Pick<StoredJob, 'epoch' | 'rev'>
/** One message of the channel and what live members got of it. */
interface Heard { message: FeedMessage, frames: readonly Frame[] }

interface Read {
  /** Live members wait for it too. */
  reset: boolean
  joiners: Set<Seat>
  /** Where the room stood when it began; null = nowhere. */
  known: Position | null
  /** Seq behind which the log is read; null = not at all. */
  after: number | null
  buffer: Heard[]
  /** Something may have been missed since it began. */
  again: boolean
  done: () => void
  settled: Promise<void>
}

export function createRoom (options: RoomOptions): Room {
  const { engine, shelf, tally, rounds, tenant_id: tenant, job_id: id, onEmpty } = options
  const { progress_interval_ms: progressMs, patience_ms: patienceMs = PATIENCE_MS } = options
  const audience = createAudience(() => known, tally, rounds)
  const lobby = createLobby(seatDue)
  const absent = createWaitingRoom({ job_id: id, onGaveUp: closeIfEmpty })
  let known: Standing | null = null
  let reading: Read | null = null
  /** The last read and all that was heard since, as long as nothing is missing in it. */
  let recent: CatchUp | null = null
  /** The last read failed: nothing that arrives can be trusted to continue the position. */
  let suspect = false
  /** Monotonic ms until which a job that a read has missed may come back; 0 = none has. */
  let missingUntil = 0
  let retry: NodeJS.Timeout | undefined
  let failures = 0
  let closed = false

  /** A failure shows in the first read, which tells the joiners. */
  const opened: Promise<() => void> = engine.subscribe(tenant, id, hear)

  function close (): void {
    if (closed) return
    closed = true
    clearTimeout(retry)
    forget()
    absent.close()
    audience.clear()
    opened.then(leave => leave(), () => {})
    reading?.done()
    onEmpty()
  }

  function closeIfEmpty (): void {
    if (audience.size + absent.size + lobby.size + (reading?.joiners.size ?? 0) === 0) close()
  }

  // --- what the channel says

  function hear (message: FeedMessage): void {
    if (closed || suspect) return
    const held = reading?.reset === true
    const frames = held ? [] : advance(message)
    if (reading !== null) buffer(reading, { message, frames })
    else if (recent !== null) {
      if (known === null || recent.messages >= KEPT_MESSAGES_MAX) forget()
      else {
        recent.hear(message, frames)
        shelf.weigh(lobby, recent.bytes)
      }
    }
    if (reading === null && message.type === 'update' && absent.size > 0) startRead(owed(), absent.take())
  }

  /** Live members wait for a read: whatever is read next is for them too. */
  const owed = (): boolean => suspect || missingUntil > 0

  function buffer (read: Read, heard: Heard): void {
    if (read.again) return
    read.buffer.push(heard)
    if (read.buffer.length <= BUFFER_MESSAGES_MAX) return
    read.buffer.length = 0
    read.again = true
  }

  function keep (catchUp: CatchUp): void {
    recent = catchUp
    shelf.put(lobby, catchUp.bytes, () => { recent = null })
  }

  function forget (): void {
    if (recent === null) return
    recent = null
    shelf.take(lobby)
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
      if (message.epoch < epoch) engine.doubt() // a primary that is none any more may be speaking
      void recheck()
      return []
    }
    const registration = message.registration ?? known.registration
    const { frames, due, items } = encodeUpdate(message, registration.item_kind, known.job)
    audience.precede(message.events)
    moveTo(known, message.job, registration)
    audience.tellNewer(frames, message.job.rev)
    if (audience.live.size > 0) {
      tellAge(tally, message.events[0]?.ts ?? message.job.updated_at)
      traceTold(message.events, audience.live.size)
    }
    if (isTerminal(message.job.state)) audience.clear()
    else audience.hold(due, items)
    return frames
  }

  /** The job is not there any more. */
  function vanish (): void {
    const ended = known !== null && isTerminal(known.job.state)
    known = null
    missingUntil = 0
    endAll(audience.takeAll(), ended ? null : unknownJob(id))
  }

  // --- reads

  function startRead (reset: boolean, joiners: Set<Seat>): Read {
    let done = () => {}
    const settled = new Promise<void>(resolve => { done = resolve })
    const isOfUse = (since: Cursor | null): since is Cursor => since !== null && (known === null || since.epoch === known.job.epoch)
    const cursors = [...joiners].map(({ since }) => since).filter(isOfUse).map(({ seq }) => seq)
    const after = reset && known !== null ? known.job.seq : cursors.length > 0 ? Math.min(...cursors) : null
    const stood = known === null ? null : { epoch: known.job.epoch, rev: known.job.rev }
    const read: Read = { reset, joiners, known: stood, after, buffer: [], again: false, done, settled }
    reading = read
    if (reset) tally.rechecks++
    forget()
    suspect = false
    clearTimeout(retry)
    opened.then(() => engine.readJob(tenant, id, after ?? undefined)).then(found => finish(read, found), error => fail(read, error))
    return read
  }

  function finish (read: Read, found: JobRead | null): void {
    if (closed) return
    // A promoted node that lacks what the room has told already, before the next drain issues the new epoch: (epoch, rev) must not go back.
    if (found !== null && read.known !== null && isOlder(found.job, read.known)) {
      read.again = true
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
      missingUntil = 0
      for (const seat of absent.take()) read.joiners.add(seat)
      const catchUp = new CatchUp(found, read.after)
      // A newer run, or a loss that the channel has not told of yet: for everybody.
      if (known === null || read.reset || found.job.epoch > known.job.epoch) {
        reposition(catchUp, read)
      } else {
        for (const { message, frames } of read.buffer) catchUp.hear(message, frames)
        seatAll(catchUp, read.joiners)
      }
      if (reading === null && known !== null && !closed) keep(catchUp)
    }
    read.done()
    if (!closed) closeIfEmpty()
  }

  /** The job is not there. Whoever may wait does; a registration that came in meanwhile is read at once. */
  function unknown (read: Read): void {
    const running = known !== null && !isTerminal(known.job.state)
    if (running) missingUntil ||= performance.now() + patienceMs
    const left = missingUntil - performance.now()
    if (!running || left <= 0) vanish()
    else awaitReturn(read, left)
    for (const seat of read.joiners) {
      if (seat.joined) seat.wait_until = missingUntil // its socket was behind: it waits like the others
      if (absent.add(seat)) read.joiners.delete(seat)
    }
    endAll(read.joiners, unknownJob(id))
    if (absent.size === 0 || !read.buffer.some(({ message }) => message.type === 'update')) return
    if (reading === null) startRead(owed(), absent.take())
    else for (const seat of absent.take()) reading.joiners.add(seat)
  }

  /** Live members stay where they are, and what the channel says may be the job's return. */
  function awaitReturn (read: Read, ms: number): void {
    retry = setTimeout(() => startRead(true, new Set()), Math.ceil(ms) + 1) // a timer may be a millisecond early
    for (const { message } of read.buffer) advance(message)
  }

  /** First read of the room, or a recheck: everybody stands where the read stands. */
  function reposition (catchUp: CatchUp, read: Read): void {
    const was = known?.job
    const { job, registration } = catchUp.found
    known = standingAt(job, registration)
    if (was !== undefined && (was.epoch !== job.epoch || was.rev !== job.rev)) {
      audience.clear()
      const missed = catchUp.frames({ epoch: was.epoch, seq: was.seq }, null)
      if (audience.live.size > 0) tellAge(tally, catchUp.found.events.find(({ seq }) => seq > was.seq)?.ts ?? job.updated_at)
      audience.finish() // what was said before goes by where each stood
      const own = new Map<Seat, readonly Frame[]>()
      for (const seat of audience.live) {
        const { covered_rev: ownRev, covered_at: at } = seat
        seat.covered_rev = 0
        // It joined from a read that was newer than the room: it has some of what the room missed, or all.
        if (at !== null && ownRev > was.rev) own.set(seat, at.epoch !== job.epoch || ownRev < job.rev ? catchUp.frames(at, null) : [])
      }
      audience.tellAll(seat => own.get(seat) ?? missed)
    }
    seatAll(catchUp, read.joiners)
    for (const { message } of read.buffer) {
      if (message.epoch < job.epoch) continue // of the run before
      catchUp.hear(message, advance(message))
      // A gap began another read, which covers the rest.
      if (reading !== null || closed) return
    }
  }

  /** The room is live and goes on; joiners catch up with it. Whom this read does not cover needs another one. */
  function seatAll (catchUp: CatchUp, joiners: Set<Seat>): void {
    const { job } = catchUp.found
    const seats = [...joiners]
    joiners.clear()
    /** By where they stood: the same for all that stood there. */
    const frames = new Map<string, readonly Frame[]>()
    for (const seat of seats) {
      const { since } = seat
      if (since !== null) {
        // A snapshot of the same epoch would take back what the client has seen.
        if (catchUp.isBehind(since, known?.job ?? null) && lobby.wait(seat)) continue
        if (!catchUp.covers(since)) {
          lobby.add(seat)
          continue
        }
      }
      seat.covered_rev = job.rev
      seat.covered_at = { epoch: job.epoch, seq: job.seq }
      audience.add(seat)
      const key = since === null ? '' : formatCursor(since)
      const missed = frames.get(key) ?? catchUp.frames(since, known?.job ?? null)
      frames.set(key, missed)
      const resumed = since !== null && catchUp.continues(since, known?.job ?? null)
      tally.joins[resumed ? 'resumed' : since === null ? 'snapshot' : 'reset']++
      if (!seat.joined) seat.member.joined(resumed, resumed && missed.length === 0)
      seat.joined = true
      audience.tell(seat, missed)
    }
  }

  function seatDue (seats: Seat[]): void {
    if (closed) return
    const served = reading === null ? new Set(seats.filter(servedFromMemory)) : new Set<Seat>()
    const rest = seats.filter(seat => !served.has(seat))
    tally.from_memory += served.size
    if (recent !== null) seatAll(recent, served)
    if (recent !== null) shelf.weigh(lobby, recent.bytes)
    if (rest.length === 0) return
    if (reading === null) startRead(owed(), new Set(rest))
    else for (const seat of rest) reading.joiners.add(seat)
  }

  function servedFromMemory ({ since }: Seat): boolean {
    return recent !== null && known !== null && !suspect && engine.hearing() && recent.serves(since, known.job)
  }

  function fail (read: Read, error: unknown): void {
    if (closed) return
    reading = null
    if (read.reset) tally.rechecks_failed++
    endAll(read.joiners, toHeadwayError(error))
    read.done()
    if (audience.live.size > 0 && (read.reset || read.again)) {
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
    else if (servedFromMemory(seat)) lobby.add(seat)
    else startRead(owed(), new Set([seat]))
  }

  function join (member: Member, { wait_ms: waitMs = 0, since = null, min_interval_ms: minMs = 0 }: JoinOptions = {}): Place {
    const seat = createSeat(member, since, laneInterval(progressMs, minMs), waitMs)
    enter(seat)
    return {
      leave () {
        audience.delete(seat)
        lobby.delete(seat)
        absent.delete(seat)
        reading?.joiners.delete(seat)
        if (!closed) closeIfEmpty()
      },
      resume () { if (audience.recall(seat)) enter(seat) }
    }
  }

  return { tenant_id: tenant, job_id: id, join, recheck, peek: () => known, close }
}

function isOlder (one: Position, than: Position): boolean {
  return one.epoch < than.epoch || (one.epoch === than.epoch && one.rev < than.rev)
}
