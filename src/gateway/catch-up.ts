// What brings a member from where it stood to where the room stands: a read of the job, and what the room has heard since that
// read began. A room keeps the newest for a moment, so that who joins next costs Redis nothing.

import type { FeedMessage, JobRead } from '../engine/engine.ts'
import type { ProgressLine } from '../engine/packed.ts'
import type { Cursor } from '../protocol/cursor.ts'
import type { StoredItem, StoredJob } from '../protocol/job.ts'
import { isTerminal } from '../protocol/states.ts'
import { eventMessage, itemProgressMessage, progressMessage, snapshotMessage } from '../protocol/view.ts'
import { type Frame, jobFrame } from './frame.ts'

/** A snapshot is encoded anew after this time, as some of its metrics move with the clock. */
const SNAPSHOT_MS_MAX = 250

/** Of one message: what live members got, and what it said of items. Not the message: it holds a whole decoded job. */
interface Heard {
  frames: readonly Frame[]
  /** Of its events. */
  item_ids: readonly string[]
  progress: readonly ProgressLine[]
}

/** What an item, an event or a header weighs besides its texts, about. */
const RECORD_BYTES = 512

export class CatchUp {
  readonly found: JobRead
  /** Newer than the read, oldest first; the room goes on adding. */
  readonly #heard: Heard[] = []
  /** Seq behind which the log was read; null = it was not. */
  readonly #after: number | null
  readonly #readAt = performance.now()
  /** Of the events that were read, each encoded when somebody first needs it: after a restart many come, from many places. */
  readonly #logged: Frame[] = []
  /** What it weighs, about. */
  bytes: number
  #encodedAt = 0
  #snapshots: { plain: Frame | null, reset: Frame | null } = { plain: null, reset: null }

  constructor (found: JobRead, after: number | null) {
    this.found = found
    this.#after = after
    this.bytes = RECORD_BYTES + [...found.items, ...found.open].reduce((sum, item) => sum + bytesOf(item), 0) +
      found.events.reduce((sum, event) => sum + (event.event === 'item' ? bytesOf(event.item) : RECORD_BYTES), 0)
  }

  get messages (): number { return this.#heard.length }

  /** @param frames what live members got of it */
  hear (message: FeedMessage, frames: readonly Frame[]): void {
    const { job } = this.found
    if (message.type !== 'update' || message.epoch !== job.epoch || message.job.rev <= job.rev) return
    const ids = message.events.flatMap(event => event.event === 'item' ? [event.item.id] : [])
    this.#heard.push({ frames, item_ids: ids, progress: message.progress })
    // Frames are there as text and as bytes.
    this.bytes += RECORD_BYTES + frames.reduce((sum, { size }) => sum + 2 * size, 0) +
      message.progress.reduce((sum, { item }) => sum + bytesOf(item), 0)
  }

  get ageMs (): number { return performance.now() - this.#readAt }

  /** Whether it can tell what became of a cursor, be it that nobody could. If not, that one needs a read of its own. */
  covers (since: Cursor): boolean {
    const { found: { job, truncated } } = this
    if (since.epoch !== job.epoch || since.seq >= job.seq) return true
    // Somebody's older cursor was beyond the log: this one may not be.
    return this.#after !== null && (truncated ? this.#after === since.seq : this.#after <= since.seq)
  }

  /**
   * Whether it does for one that comes later, when the room has gone on to `known`. A cursor ahead of that has seen something newer,
   * and who begins should not see as news what happened before.
   */
  serves (since: Cursor | null, known: StoredJob): boolean {
    if (since === null) return this.#heard.length === 0
    return since.epoch === this.found.job.epoch && since.epoch === known.epoch && since.seq <= known.seq && this.covers(since)
  }

  /** Whether a cursor has seen more than there is: Redis has lost writes and does not say so yet, or the cursor was made up. */
  isBehind (since: Cursor, known: StoredJob | null): boolean {
    const { epoch, seq } = this.found.job
    return since.epoch > epoch || (since.epoch === epoch && since.seq > seq && !this.continues(since, known))
  }

  /** Whether a cursor can be continued; if not, a snapshot with `reset: true` takes its place. */
  continues (since: Cursor, known: StoredJob | null): boolean {
    const { job, truncated } = this.found
    if (since.epoch !== job.epoch || !this.covers(since)) return false
    if (since.seq > job.seq) return known !== null && known.epoch === job.epoch && since.seq <= known.seq
    return since.seq === job.seq || !truncated
  }

  /**
   * All that a member gets, in order.
   * @param since null = it stood nowhere
   */
  frames (since: Cursor | null, known: StoredJob | null): Frame[] {
    const { found } = this
    const heard = this.#heard
    const { job, registration: { item_kind: kind } } = found
    const stands = known !== null && known.epoch === job.epoch && known.rev > job.rev ? known : job
    const resumed = since !== null && this.continues(since, known)
    const frames = resumed
      ? [
          ...this.#loggedBehind(since.seq),
          ...heard.flatMap(one => one.frames.filter(({ head }) => head !== null && head.seq > since.seq))
        ]
      : [this.#snapshot(since !== null), ...heard.flatMap(one => one.frames)]
    if (isTerminal(stands.state)) return frames // nothing may follow the end
    for (const line of openItems(resumed ? found : null, heard)) frames.push(jobFrame(itemProgressMessage(stands, kind, line)))
    if (resumed || stands !== job) frames.push(jobFrame(progressMessage(stands, stands.updated_at)))
    return frames
  }

  #loggedBehind (seq: number): Frame[] {
    const { events, job, registration: { item_kind: kind } } = this.found
    const frames: Frame[] = []
    for (const [n, event] of events.entries()) {
      if (event.seq > seq) frames.push(this.#logged[n] ??= this.#weighed(jobFrame(eventMessage(event, job, kind, job.updated_at))))
    }
    return frames
  }

  /** Frames are there as text and as bytes. */
  #weighed (frame: Frame): Frame {
    this.bytes += 2 * frame.size
    return frame
  }

  #snapshot (reset: boolean): Frame {
    const now = performance.now()
    if (now - this.#encodedAt > SNAPSHOT_MS_MAX) {
      this.#encodedAt = now
      this.#snapshots = { plain: null, reset: null }
    }
    const { job, registration, items, items_seen: seen, now_ms: readMs } = this.found
    const which = reset ? 'reset' : 'plain'
    this.#snapshots[which] ??= jobFrame(snapshotMessage(job, registration, items, seen, readMs + Math.round(this.ageMs), reset))
    return this.#snapshots[which]
  }
}

/** Progress of items that are in process still, as the last message has it. */
function openItems (found: JobRead | null, heard: readonly Heard[]): Iterable<ProgressLine> {
  const lines = new Map<string, ProgressLine>()
  for (const item of [...found?.items ?? [], ...found?.open ?? []]) {
    if (item.state !== 'processing' || item.percent_complete === 0) continue
    lines.set(item.id, { ts: item.updated_at, cid: `${found!.job.epoch}.${found!.job.seq}`, item })
  }
  for (const { item_ids: ids, progress } of heard) {
    for (const id of ids) lines.delete(id)
    for (const line of progress) lines.set(line.item.id, line)
  }
  return lines.values()
}

function bytesOf ({ id, title, error_json: error, result_json: result }: StoredItem): number {
  return RECORD_BYTES + id.length + (title?.length ?? 0) + (error?.length ?? 0) + (result?.length ?? 0)
}
