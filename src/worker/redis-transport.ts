// The way straight into Redis: batches into the ingest streams, by a producer with a connection of its own.
//
// It does not hold the process: its sockets count only while something is under way, so a worker that has nothing else to do
// ends, and nothing it sent is lost.

import { setTimeout as delay } from 'node:timers/promises'
import { connect, redacted } from '../engine/connections.ts'
import type { Log } from '../engine/connections.ts'
import { createKeys } from '../engine/keys.ts'
import type { Keys } from '../engine/keys.ts'
import { storedPartitions } from '../engine/partitions.ts'
import { createProducer, PRODUCER_REDIS_OPTIONS } from '../engine/producer.ts'
import type { Producer, ProducerParams, ProducerStatus } from '../engine/producer.ts'
import { HeadwayError } from '../protocol/errors.ts'
import { createDeferred } from '../protocol/ponyfills.ts'
import { createBatcher } from './batcher.ts'
import type { BatcherStatus } from './batcher.ts'
import { createRedisWatches } from './redis-watches.ts'
import type { Transport } from './transport.ts'

export interface RedisTransportParams {
  /** redis://, rediss://, a list for Cluster, redis+sentinel:// */
  redis_url: string
  /** First part of every key. Default `hw`. */
  prefix?: string | undefined
  /** Only checked; absent = what the deployment was created with. */
  partitions?: number | undefined
  window_ms?: number | undefined
  buffer_bytes_max?: number | undefined
  log: Log
  /** Between two looks at the jobs that are watched. Default 2,000. */
  poll_ms?: number | undefined
  /** For tests: times and bounds of the producer. */
  producer?: Partial<Pick<ProducerParams, 'keep_ms' | 'kept_bytes_max' | 'silence_ms' | 'check_ms' | 'now'>>
}

export interface RedisTransport extends Transport {
  status (): BatcherStatus & Omit<ProducerStatus, 'name'>
}

/** Between two tries to learn how many partitions there are, ms. */
const OPEN_RETRY_MS = 500

/** Jobs watched at once: each is a channel and a field read every 2 s. */
const WATCHES_MAX = 1_000

/** @throws HeadwayError invalid_field when the URL cannot be read */
export function createRedisTransport (params: RedisTransportParams): RedisTransport {
  const { prefix = 'hw', log } = params
  const connections = connect(params.redis_url, log, { loose: true })
  const redis = connections.open(PRODUCER_REDIS_OPTIONS)
  const { hold, release } = createHold()
  const batcher = createBatcher({
    send: (partition, batch) => hold(producer!.send(partition, batch)),
    window_ms: params.window_ms,
    buffer_bytes_max: params.buffer_bytes_max
  })
  let keys: Keys | undefined
  let producer: Producer | undefined
  let refused: unknown
  let lastTrouble = ''
  const closing = new AbortController()
  const known = createDeferred<Keys>()
  known.promise.catch(() => {}) // told by every call
  const watches = createRedisWatches({
    connections,
    keys: known.promise,
    log,
    poll_ms: params.poll_ms
  })

  async function learnKeys (): Promise<Keys> {
    keys ??= createKeys(prefix, await storedPartitions(connections, prefix, params.partitions))
    return keys
  }

  function onTrouble (error: Error): void {
    if (error.message === lastTrouble) return
    lastTrouble = error.message
    log.warn({ event: 'send_failed', err: error }, `not stored in Redis yet, tried again: ${error.message}`)
  }

  async function open (): Promise<void> {
    while (!closing.signal.aborted) {
      try {
        const { partition, partitions } = await learnKeys()
        if (closing.signal.aborted) return
        known.resolve(keys!)
        producer = createProducer({ ...params.producer, redis, keys: partition, onTrouble })
        batcher.open(partitions)
        return
      } catch (error) {
        if (error instanceof HeadwayError && !error.temporary) {
          refused = error
          known.reject(error)
          log.error({ event: 'refused', err: error }, error.message)
          batcher.close(error)
          return
        }
        if (error instanceof HeadwayError) onTrouble(error)
        await delay(OPEN_RETRY_MS, undefined, { signal: closing.signal, ref: false }).catch(() => {})
      }
    }
  }
  void hold(open())

  return {
    send (event) {
      if (refused !== undefined) return Promise.reject(refused)
      return batcher.add(event)
    },

    async control (tenant, job) {
      try {
        const { key } = (await hold(learnKeys())).job(tenant, job)
        const [state = null, request = null] = await hold(connections.command.hmget(key, 'state', 'control'))
        return { state, request_id: request === '' ? null : request }
      } catch (cause) {
        if (cause instanceof HeadwayError) throw cause
        const at = redacted(params.redis_url)
        throw new HeadwayError('redis_unavailable', `control of job ${job} could not be read from Redis at ${at}; ask again`, { cause })
      }
    },

    watch: watches.watch,
    watches_max: WATCHES_MAX,

    flush: () => batcher.flush(),

    status () {
      return { ...batcher.status(), ...producer?.status() ?? { unsent: 0, kept: 0, kept_bytes: 0 } }
    },

    async close () {
      closing.abort()
      watches.close()
      batcher.close()
      await producer?.close()
      connections.close()
      release()
    }
  }
}

/** `hold` keeps the process alive while one of the promises given to it is pending, until `release`. */
function createHold (): { hold: <T>(promise: Promise<T>) => Promise<T>, release: () => void } {
  const timer = setInterval(() => {}, 2 ** 30).unref()
  let pending = 0
  const settled = (): void => {
    if (--pending === 0) timer.unref()
  }
  return {
    hold (promise) {
      if (pending++ === 0) timer.ref()
      promise.then(settled, settled)
      return promise
    },
    release: () => clearInterval(timer)
  }
}
