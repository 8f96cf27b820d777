// A room: the sockets of this gateway that watch one job, and the position all of them have reached.
//
// Joining without a race: the channel is heard first, then the job is read, and what arrives meanwhile is kept in a buffer that
// belongs to the read; who joins during a read shares it. The snapshot goes out, then what in the buffer is newer. Live members
// never wait for a join, only for a *recheck*: a message that does not continue the position, or a connection that was lost, means
// that something may be missing. The room falls silent, reads, and sends a snapshot with `reset: true` when it stood elsewhere.

import type { FeedMessage, JobRead } from '../engine/engine.ts'
import type { Registration, StoredJob } from '../protocol/job.ts'
import { isTerminal } from '../protocol/states.ts'
import { snapshotMessage } from '../protocol/view.ts'
import { encodeUpdate, type Shown, shownOf } from './encode.ts'
import { toHeadwayError } from './problem.ts'
import type { Reach } from './reach.ts'
import { createWaitingRoom, endAll, type Member, type Seat, unknownJob } from './seats.ts'

/** Messages kept during one read. Beyond: dropped, and the job is read again, which covers them. */
const BUFFER_MESSAGES_MAX = 1_000
const RETRY_MS_MIN = 250
const RETRY_MS_MAX = 5_000

export interface RoomOptions {
  engine: Pick<Reach, 'subscribe' | 'readJob'>
  tenant_id: string
  job_id: string
  /** Called once, when nobody is left. */
  onEmpty: () => void
}

export interface Room {
  /**
   * @param waitMs how long a job that is not registered yet is waited for; 0 = it is unknown
   * @returns leave; the member hears nothing of it
   */
  join: (member: Member, waitMs: number) => () => void
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
  buffer: { message: FeedMessage, texts: string[] }[]
  /** Something may have been missed since it began. */
  again: boolean
  done: () => void
  settled: Promise<void>
}

export function createRoom (options: RoomOptions): Room {
  const { engine, tenant_id: tenant, job_id: id, onEmpty } = options
  const live = new Set<Seat>()
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
    opened.then(leave => leave(), () => {})
    reading?.done()
    onEmpty()
  }

  function closeIfEmpty (): void {
    if (live.size === 0 && absent.size === 0 && (reading === null || reading.joiners.size === 0)) close()
  }

  // --- what the channel says

  function hear (message: FeedMessage): void {
    if (closed || suspect) return
    const held = reading?.reset === true
    const texts = held ? [] : advance(message)
    if (reading !== null && !reading.again) {
      reading.buffer.push({ message, texts })
      if (reading.buffer.length > BUFFER_MESSAGES_MAX) {
        reading.buffer.length = 0
        reading.again = true
      }
    } else if (reading === null && message.type === 'update' && absent.size > 0) {
      startRead(false, absent.take())
    }
  }

  /** @returns what live members were sent; empty when it was old, or when it does not continue the position */
  function advance (message: FeedMessage): string[] {
    if (known === null) return []
    const { epoch, seq, rev } = known.job
    if (message.type === 'gone') {
      if (message.epoch < epoch) return []
      const ended = isTerminal(known.job.state)
      known = null
      endAll(live, ended ? null : unknownJob(id))
      closeIfEmpty()
      return []
    }
    if (message.epoch === epoch && message.job.rev <= rev) return []
    if (message.epoch !== epoch || message.seq_from !== seq + 1) {
      void recheck()
      return []
    }
    const registration = message.registration ?? known.registration
    const texts = encodeUpdate(message, registration.item_kind, known.shown)
    known = { job: message.job, registration, shown: shownOf(message.job) }
    for (const seat of live) {
      if (message.job.rev <= seat.covered_rev) continue
      for (const text of texts) seat.member.send(text)
    }
    return texts
  }

  // --- reads

  function startRead (reset: boolean, joiners: Set<Seat>): Read {
    let done = () => {}
    const settled = new Promise<void>(resolve => { done = resolve })
    const read: Read = { reset, joiners, buffer: [], again: false, done, settled }
    reading = read
    suspect = false
    clearTimeout(retry)
    opened.then(() => engine.readJob(tenant, id)).then(found => finish(read, found), error => fail(read, error))
    return read
  }

  function finish (read: Read, found: JobRead | null): void {
    if (closed) return
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
    const ended = known !== null && isTerminal(known.job.state)
    known = null
    endAll(live, ended ? null : unknownJob(id))
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
      const text = live.size === 0 ? '' : snapshotText(found, true)
      for (const seat of live) {
        seat.covered_rev = 0
        seat.member.send(text)
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
    for (const { message, texts } of read.buffer) {
      if (message.type === 'gone' || message.epoch !== found.job.epoch || message.job.rev <= found.job.rev) continue
      for (const seat of joined) for (const text of texts) seat.member.send(text)
    }
  }

  function seatJoiners (read: Read, found: JobRead, coveredRev: number): Seat[] {
    if (read.joiners.size === 0) return []
    const text = snapshotText(found, false)
    const joined = [...read.joiners]
    read.joiners.clear()
    for (const seat of joined) {
      seat.covered_rev = coveredRev
      live.add(seat)
      seat.member.joined()
      seat.member.send(text)
    }
    return joined
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

  function join (member: Member, waitMs: number): () => void {
    const seat: Seat = { member, covered_rev: 0, wait_until: performance.now() + waitMs }
    if (reading !== null) reading.joiners.add(seat)
    else startRead(suspect, new Set([seat]))
    return () => {
      live.delete(seat)
      absent.delete(seat)
      reading?.joiners.delete(seat)
      if (!closed) closeIfEmpty()
    }
  }

  return { join, recheck, peek: () => known, close }
}

function snapshotText ({ job, registration, items, items_seen: seen, now_ms: now }: JobRead, reset: boolean): string {
  return JSON.stringify(snapshotMessage(job, registration, items, seen, now, reset))
}
