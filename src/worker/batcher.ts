// Gathers a worker's events into entries, per partition: an entry leaves at 64 events, at 64 KB, or when its window is
// over; while another of the partition is under way it goes on growing. So a busy worker sends few large entries and
// an idle one waits 5 ms at most.
//
// Bound: batches hold at most `buffer_bytes_max`. Calls beyond it wait outside, in order, and enter as bytes get free;
// a caller that awaits its calls is slowed down by that. What waits outside is bounded by the same number again, for
// callers that never await: beyond it an event is refused as `overloaded` and not taken.

import { HeadwayError } from '../protocol/errors.ts'
import { ENTRY_BYTES_MAX, ENTRY_EVENTS_MAX } from '../protocol/limits.ts'
import { BATCH_FORMAT, packEvent } from '../protocol/pack.ts'
import { partitionOf } from '../protocol/partition.ts'
import type { WorkerEvent } from '../protocol/worker-events.ts'
import { endSpan, originOf, type Span, SpanKind, startSpan, traceparentOf } from '../tracing/trace.ts'

export interface BatcherParams {
  /** Resolves when the batch is stored. Called for one batch of a partition at a time. */
  send: (partition: number, batch: string) => Promise<void>
  /** How long the first event of a batch waits for others, ms. Default 5. */
  window_ms?: number | undefined
  /** Default 8 MiB. */
  buffer_bytes_max?: number | undefined
}

export interface BatcherStatus {
  /** Bytes in batches that are not stored yet. */
  buffered_bytes: number
  /** Calls outside, and what they hold. */
  waiting_calls: number
  waiting_bytes: number
}

export interface Batcher {
  /** Calls wait outside until this is told. @param partitions of the deployment */
  open (partitions: number): void
  /** @returns one promise a batch; resolves when it is stored */
  add (event: WorkerEvent): Promise<void>
  /** Sends without waiting for windows. Resolves when everything added before is stored. */
  flush (): Promise<void>
  status (): BatcherStatus
  /** Calls outside are refused with `reason`, by default `closed`; batches are the sender's. Idempotent. */
  close (reason?: Error): void
}

interface Deferred { promise: Promise<void>, resolve: (value?: Promise<void>) => void, reject: (error: unknown) => void }

interface Batch {
  text: string
  bytes: number
  events: number
  last: WorkerEvent
  stored: Deferred
  /** From its first event until it is stored. */
  span: Span
}

interface Queue {
  partition: number
  sealed: Batch[]
  open: Batch | null
  sending: boolean
  /** Set while the open batch's window runs. */
  timer: NodeJS.Timeout | undefined
  /** Of the newest batch; batches are stored in order. */
  newest: Promise<void>
}

interface Call { event: WorkerEvent, bytes: number, done: Deferred }

/** A promise whose rejection nobody has to look at: a caller that does not await must not end the process. */
function deferred (): Deferred {
  let [resolve, reject]: [Deferred['resolve'], Deferred['reject']] = [() => {}, () => {}]
  const promise = new Promise<void>((_resolve, _reject) => { [resolve, reject] = [_resolve, _reject] })
  promise.catch(() => {})
  return { promise, resolve, reject }
}

/** In the trace of the first event that has one. */
function startSend ({ cid }: WorkerEvent, partition: number): Span {
  return startSpan('headway.send', { kind: SpanKind.PRODUCER, attributes: { 'headway.partition': partition }, parent: originOf(cid) })
}

/** An event without a correlation id goes on in the trace of its batch. */
function inTraceOf (span: Span, event: WorkerEvent): WorkerEvent {
  const cid = event.cid ?? traceparentOf(span)
  return cid === event.cid ? event : { ...event, cid }
}

/** About what a waiting call costs besides its text. */
const CALL_BYTES = 256

export function createBatcher (params: BatcherParams): Batcher {
  const { send, window_ms: windowMs = 5, buffer_bytes_max: bytesMax = 8 * 1024 * 1024 } = params
  const queues = new Map<number, Queue>()
  let waiting: Call[] = []
  let partitions = 0
  let bufferedBytes = 0
  let waitingBytes = 0
  let closed = false

  function queueOf ({ tenant, job }: WorkerEvent): Queue {
    const partition = partitionOf(tenant, job, partitions)
    let queue = queues.get(partition)
    if (queue === undefined) {
      queue = { partition, sealed: [], open: null, sending: false, timer: undefined, newest: Promise.resolve() }
      queues.set(partition, queue)
    }
    return queue
  }

  function place (given: WorkerEvent): Promise<void> {
    const queue = queueOf(given)
    let span = queue.open?.span ?? startSend(given, queue.partition)
    let event = inTraceOf(span, given)
    let line = packEvent(event, queue.open?.last)
    let bytes = Buffer.byteLength(line) + 1
    if (queue.open !== null && queue.open.bytes + bytes > ENTRY_BYTES_MAX) {
      seal(queue)
      span = startSend(given, queue.partition)
      event = inTraceOf(span, given)
      line = packEvent(event)
      bytes = Buffer.byteLength(line) + 1
    }
    const batch = queue.open ?? begin(queue, event, span)
    batch.text += '\n' + line
    batch.bytes += bytes
    batch.last = event
    bufferedBytes += bytes
    if (++batch.events === ENTRY_EVENTS_MAX) seal(queue)
    return batch.stored.promise
  }

  function begin (queue: Queue, event: WorkerEvent, span: Span): Batch {
    const stored = deferred()
    queue.open = { text: BATCH_FORMAT, bytes: BATCH_FORMAT.length, events: 0, last: event, stored, span }
    queue.newest = stored.promise
    queue.timer = setTimeout(() => {
      queue.timer = undefined
      pump(queue)
    }, windowMs)
    return queue.open
  }

  function seal (queue: Queue): void {
    if (queue.open === null) return
    clearTimeout(queue.timer)
    queue.timer = undefined
    queue.sealed.push(queue.open)
    queue.open = null
    pump(queue)
  }

  function pump (queue: Queue): void {
    if (queue.sending) return
    let batch = queue.sealed.shift()
    if (batch === undefined && queue.timer === undefined && queue.open !== null) {
      batch = queue.open
      queue.open = null
    }
    if (batch === undefined) return
    queue.sending = true
    void deliver(queue, batch)
  }

  async function deliver (queue: Queue, batch: Batch): Promise<void> {
    try {
      await send(queue.partition, batch.text)
      batch.stored.resolve()
      endSpan(batch.span, { 'headway.events': batch.events })
    } catch (error) {
      batch.stored.reject(error)
      endSpan(batch.span, { 'headway.events': batch.events }, error)
    }
    bufferedBytes -= batch.bytes - BATCH_FORMAT.length
    queue.sending = false
    admit()
    pump(queue)
  }

  function mustWait (): boolean {
    return partitions === 0 || bufferedBytes >= bytesMax
  }

  /** Lets waiting calls in, in order. */
  function admit (): void {
    let count = 0
    while (count < waiting.length && !mustWait()) {
      const { event, bytes, done } = waiting[count++]!
      waitingBytes -= bytes
      done.resolve(place(event))
    }
    if (count > 0) waiting = waiting.slice(count)
  }

  function waitOutside (event: WorkerEvent): Promise<void> {
    const bytes = Buffer.byteLength(packEvent(event)) + CALL_BYTES
    if (waitingBytes + bytes > bytesMax) {
      throw new HeadwayError('overloaded', `${event.type} of job ${event.job} was not taken: ${waiting.length} calls wait already; ` +
        'await the calls, or give a larger buffer')
    }
    const done = deferred()
    waiting.push({ event, bytes, done })
    waitingBytes += bytes
    return done.promise
  }

  return {
    open (count) {
      partitions = count
      admit()
    },

    add (event) {
      try {
        if (closed) throw new HeadwayError('closed', `${event.type} of job ${event.job} was not taken: the monitor is closed`)
        return waiting.length > 0 || mustWait() ? waitOutside(event) : place(event)
      } catch (error) {
        return Promise.reject(error)
      }
    },

    async flush () {
      if (waiting.length > 0) await waiting.at(-1)!.done.promise
      for (const queue of queues.values()) seal(queue)
      await Promise.all(Array.from(queues.values(), queue => queue.newest))
    },

    status () {
      return { buffered_bytes: bufferedBytes, waiting_calls: waiting.length, waiting_bytes: waitingBytes }
    },

    close (reason) {
      closed = true
      for (const { event, done } of waiting) {
        done.reject(reason ?? new HeadwayError('closed', `${event.type} of job ${event.job} was given up: the monitor was closed before Redis took it`))
      }
      waiting = []
      waitingBytes = 0
    }
  }
}
