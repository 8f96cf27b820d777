// Sends packed entries of one worker so that each takes effect exactly once, whatever dies between here and the reducer.
//
// Per partition one entry is in flight; it is sent again, the same bytes and the same number, until it is answered. Every
// new connection begins with a question: which number took effect last? What came after it goes out again, in order.
// Stored is not safe (a failover loses what was not replicated), so entries are kept for 30 s, and until their number
// took effect; meanwhile the epoch, the drained position and the number are read every 200 ms to 2 s. What is done with
// them, and when a producer takes a new name, stands in producer-lane.ts.
//
// Bound: what is kept takes at most `kept_bytes_max`. Confirmed entries go first, before their 30 s; when all that is
// kept waits for the reducer (no gateway runs), nothing more is sent and send() waits.

import { randomBytes } from 'node:crypto'
import { HeadwayError } from '../protocol/errors.ts'
import { createLane } from './producer-lane.ts'
import type { Lane } from './producer-lane.ts'

/** What the producer needs of an ioredis client (Redis or Cluster) of its own, made with {@link PRODUCER_REDIS_OPTIONS}. */
export interface ProducerRedis {
  readonly status: string
  xadd (key: string, id: string, ...fields: string[]): Promise<string | null>
  hmget (key: string, ...fields: string[]): Promise<(string | null)[]>
  hget (key: string, field: string): Promise<string | null>
  on (event: 'ready', listener: () => void): unknown
  off (event: 'ready', listener: () => void): unknown
}

/** ioredis must not repeat, queue or wait by itself: the producer has to ask Redis first. */
export const PRODUCER_REDIS_OPTIONS = {
  autoResendUnfulfilledCommands: false,
  enableOfflineQueue: false,
  maxRetriesPerRequest: 0,
  commandTimeout: 2000
} as const

export interface ProducerKeys { ingest: string, meta: string, producers: string }

export interface ProducerParams {
  /** Stays the caller's: close() does not close it. */
  redis: ProducerRedis
  keys: (partition: number) => ProducerKeys
  /** How long an entry is kept after it was stored. Default 30,000. */
  keep_ms?: number
  /** Bytes kept over all partitions, see above. Default 32 MiB. */
  kept_bytes_max?: number
  /** A producer silent for this long takes a new name, before Redis forgets the old one. Default 30 minutes. */
  silence_ms?: number
  /** How often Redis is asked while entries are kept: doubling from `min`, after a loss anew, to `max`. Default 200 to 2,000. */
  check_ms?: { min: number, max: number }
  /** Monotonic ms, for tests. */
  now?: () => number
  /** Told of every failed try; the producer goes on by itself. */
  onTrouble?: (error: Error) => void
}

export interface ProducerStatus {
  /** Entries that Redis has not answered yet. */
  unsent: number
  /** Entries kept for a resend, and their bytes. */
  kept: number
  kept_bytes: number
  /** Name by which Redis knows the producer; null = nothing was sent to the partition. */
  name (partition: number): string | null
}

export interface Producer {
  /**
   * @param batch value of packBatch
   * @returns resolves when stored in Redis, in the order of the calls
   * @throws HeadwayError closed, when the producer is closed before
   */
  send (partition: number, batch: string): Promise<void>
  status (): ProducerStatus
  /** Gives up what is not stored: wait for the promises of send() first. Idempotent. */
  close (): Promise<void>
}

/** One partition's lane, and how it stands with Redis. */
interface Sender {
  lane: Lane
  keys: ProducerKeys
  busy: boolean
  /** Connection for which the stored number was read; 0 = none, or an answer is missing. */
  connection: number
  /** Undefined = not read yet, null = the partition does not exist. */
  epoch: string | null | undefined
  check_at: number
  check_delay: number
  failures: number
  last_push: number
  timer: NodeJS.Timeout | undefined
}

const DEFAULTS = { keep_ms: 30_000, kept_bytes_max: 32 * 1024 * 1024, silence_ms: 30 * 60_000, check_ms: { min: 200, max: 2000 } }
const RETRY_MS = { base: 50, max: 2000 }

export function createProducer (params: ProducerParams): Producer {
  const { redis, keys, now = () => performance.now(), onTrouble = () => {} } = params
  const { keep_ms: keepMs, kept_bytes_max: keptBytesMax, silence_ms: silenceMs, check_ms: checkMs } = { ...DEFAULTS, ...params }
  const senders = new Map<number, Sender>()
  let connection = 1
  let unsent = 0
  let closed = false

  const freshName = () => randomBytes(9).toString('hex') // an identifier, whatever comes out

  function senderOf (partition: number): Sender {
    let sender = senders.get(partition)
    if (sender === undefined) {
      sender = {
        lane: createLane(freshName),
        keys: keys(partition),
        busy: false,
        connection: 0,
        epoch: undefined,
        check_at: 0,
        check_delay: checkMs.min,
        failures: 0,
        last_push: now(),
        timer: undefined
      }
      senders.set(partition, sender)
    }
    return sender
  }

  function onReady (): void {
    connection++
    for (const sender of senders.values()) {
      sender.failures = 0
      void work(sender)
    }
  }
  redis.on('ready', onReady)

  /** Asks what took effect, and moves the lane accordingly. */
  async function check (sender: Sender): Promise<void> {
    const { lane } = sender
    const asked = connection
    const [epoch = null, meta = null] = await redis.hmget(sender.keys.meta, 'ep', '_')
    const name = lane.name
    const known = await redis.hget(sender.keys.producers, name)
    if (name !== lane.name) return // renewed meanwhile: ask again
    const rewind = sender.connection !== asked || sender.epoch !== epoch
    const stored = known === null ? null : Number(known.split('\t', 1)[0])
    lane.learned({ stored, cursor: meta?.split('\t', 2)[1] ?? null, rewind }, now())
    sender.epoch = epoch
    sender.connection = asked
    lane.prune(now() - keepMs)
    sender.check_delay = rewind ? checkMs.min : Math.min(checkMs.max, sender.check_delay * 2)
    sender.check_at = now() + sender.check_delay
  }

  function keptBytes (): number {
    let bytes = 0
    for (const { lane } of senders.values()) bytes += lane.bytes
    return bytes
  }

  /** True when another entry may be kept. */
  function hasRoom (): boolean {
    if (keptBytes() < keptBytesMax) return true
    for (const { lane } of senders.values()) lane.prune(Infinity)
    return keptBytes() < keptBytesMax
  }

  async function sendNext (sender: Sender): Promise<boolean> {
    const next = sender.lane.next()
    if (next === null || closed) return false
    if (next.entry.stored_at === null && !hasRoom()) {
      sender.check_at = Math.min(sender.check_at, now() + checkMs.min)
      return false
    }
    const { batch } = next.entry
    const id = await redis.xadd(sender.keys.ingest, '*', 'b', batch, 'p', sender.lane.name, 'n', String(next.n))
    if (closed || id === null) return false
    sender.lane.answered(id, now())
    return true
  }

  /** One at a time per partition: everything that touches a lane happens here, or between two of its steps. */
  async function work (sender: Sender): Promise<void> {
    if (sender.busy || closed || redis.status !== 'ready') return
    sender.busy = true
    clearTimeout(sender.timer)
    try {
      for (let more = true; more;) {
        while (sender.connection !== connection || now() >= sender.check_at) await check(sender)
        more = await sendNext(sender)
      }
      sender.failures = 0
    } catch (error) {
      sender.connection = 0
      sender.failures++
      if (!closed) onTrouble(error as Error)
    } finally {
      sender.busy = false
      arm(sender)
    }
  }

  function arm (sender: Sender): void {
    if (closed || sender.lane.size === 0) return
    const retryMs = Math.min(RETRY_MS.max, RETRY_MS.base * 2 ** Math.min(sender.failures, 8)) * (0.5 + Math.random() / 2)
    const waitMs = sender.failures > 0 ? retryMs : Math.max(0, sender.check_at - now())
    sender.timer = setTimeout(() => { void work(sender) }, waitMs)
    sender.timer.unref()
  }

  return {
    send (partition, batch) {
      if (closed) return Promise.reject(new HeadwayError('closed', 'the producer is closed; nothing more can be sent'))
      const sender = senderOf(partition)
      if (now() - sender.last_push >= silenceMs) sender.lane.renew()
      sender.last_push = now()
      unsent++
      return new Promise<void>((resolve, reject) => {
        sender.lane.push({
          batch,
          bytes: Buffer.byteLength(batch),
          stored: () => { unsent--; resolve() },
          failed: reject,
          id: null,
          stored_at: null
        })
        void work(sender)
      })
    },

    status () {
      let kept = -unsent
      for (const { lane } of senders.values()) kept += lane.size
      return { unsent, kept, kept_bytes: keptBytes(), name: partition => senders.get(partition)?.lane.name ?? null }
    },

    async close () {
      if (closed) return
      closed = true
      redis.off('ready', onReady)
      for (const { lane, timer } of senders.values()) {
        clearTimeout(timer)
        for (const entry of lane.abandon()) {
          entry.failed?.(new HeadwayError('closed', 'the producer was closed before Redis had answered; it may be stored or not'))
        }
      }
    }
  }
}
