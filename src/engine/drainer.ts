// Keeps partitions drained: woken by their streams, and by a sweep over all of them that also drives the timers.
// Per partition one call at a time; any number of gateways may do the same at once.

import { inSpan } from '../tracing/trace.ts'
import type { Connections, Log, RedisClient } from './connections.ts'
import { count, createDrained, haltedOf, type Drained } from './drained.ts'
import { EVENTS_MAX, nextEventsMax } from './drain.ts'
import type { Drain, DrainResult } from './drain.ts'
import type { Keys } from './keys.ts'
import { bumpEpoch, createPartition } from './partitions.ts'
import { loadScript, replyOf } from './script.ts'
import { createWake } from './wake.ts'

export interface Drainer {
  start (): void
  stop (): Promise<void>
  /** One call of the reducer, with what its answer asks for (creation, a new epoch). For callers that wait for an entry. */
  once (partition: number): Promise<DrainResult>
  /** What this process's drains have done so far. */
  readonly drained: Readonly<Drained>
  /** A partition has another epoch, whoever has raised it: Redis has lost writes. Found by the sweep, so at the latest then. */
  onEpoch (listener: (partition: number) => void): () => void
}

export interface DrainerParams {
  connections: Connections
  keys: Keys
  drain: Drain
  log: Log
  /** Told of each call of the reducer. */
  onDrained: (result: DrainResult) => void
  sweep_interval_ms: number
  /** Of a partition that Redis lost. */
  restore_hold_ms: number
}

const TORN_RETRY_MS = 25
const FORGET_INTERVAL_MS = 60_000
const PRODUCER_SILENT_MS = 3_600_000

const forgetScript = loadScript('forget_producers.lua')

export function createDrainer ({ connections, keys, drain, log, onDrained, sweep_interval_ms, restore_hold_ms }: DrainerParams): Drainer {
  const events_max = new Array<number>(keys.partitions).fill(EVENTS_MAX >> 1)
  const running = new Map<number, Promise<void>>()
  const positions = new Map<number, string>()
  const warned = new Map<number, string>()
  const timers = new Set<NodeJS.Timeout>()
  const drained = createDrained()
  const epochs = new Map<number, number>()
  const raised = new Set<(partition: number) => void>()
  let stopped = true

  async function once (partition: number): Promise<DrainResult> {
    const allowed = events_max[partition] as number
    const result = await inSpan('headway.drain', () => drain(partition, { events_max: allowed }), ({ word, consumed, applied, elapsed_us }) => ({
      'headway.partition': partition, 'headway.word': word, 'headway.entries': consumed, 'headway.applied': applied, 'headway.redis_us': elapsed_us
    }))
    await settle(partition, allowed, result)
    return result
  }

  /** What an answer asks for. */
  async function settle (partition: number, allowed: number, result: DrainResult): Promise<void> {
    count(drained, result, Date.now())
    onDrained(result)
    if (result.word === 'absent') {
      // It was there when this process started.
      if (await createPartition(connections.command, keys, partition, { hold_ms: restore_hold_ms })) {
        log.warn({ event: 'partition_lost', partition }, 'Redis lost a partition: made anew')
      }
    } else if (result.word === 'replica_changed') {
      const epoch = await bumpEpoch(connections.command, keys, partition)
      log.warn({ event: 'epoch_changed', partition, epoch }, 'another Redis answers: writes may be lost, every watcher starts from a snapshot')
    } else {
      events_max[partition] = nextEventsMax(allowed, result)
    }
    if (result.word !== 'ok') {
      warnOnce(partition, result.word)
    } else {
      if (warned.delete(partition)) drained.halted = haltedOf(warned.values())
      lookAtEpoch(partition, result.epoch)
    }
  }

  function lookAtEpoch (partition: number, epoch: number): void {
    const before = epochs.get(partition)
    if (before === epoch) return
    epochs.set(partition, epoch)
    if (before !== undefined) for (const listener of raised) listener(partition)
  }

  function warnOnce (partition: number, word: string): void {
    if (warned.get(partition) === word) return
    note(partition, word)
    const meaning: Record<string, string> = {
      torn: 'keys of the partition are missing: its slot is on the move, or something deleted them; trying again',
      held: 'the outbox is full and HEADWAY_OUTBOX_FULL=hold: nothing is reduced until the persister has caught up',
      restoring: 'the persister puts back the jobs that Redis lost; their events wait for that',
      newer_format: 'the stream holds entries of a newer build: upgrade gateways before workers'
    }
    if (meaning[word]) log.warn({ event: `drain_${word}`, partition }, meaning[word])
  }

  function note (partition: number, word: string): void {
    warned.set(partition, word)
    drained.halted = haltedOf(warned.values())
  }

  /** That Redis is away is told by others; what it refuses (short of memory, a key of another type) by nobody else. */
  function gaveUp (partition: number, error: unknown): void {
    if (warned.get(partition) === 'failed') return
    note(partition, 'failed')
    if ((error as Error).name === 'ReplyError') log.warn({ event: 'reducer_refused', partition, err: error }, 'Redis refuses to reduce events; they wait')
  }

  async function untilEmpty (partition: number): Promise<void> {
    for (let failures = 0; !stopped;) {
      try {
        const { word, more } = await once(partition)
        if (word === 'ok' && !more) return
        if (word === 'held' || word === 'restoring' || word === 'newer_format') return
        if (word === 'torn') await new Promise((resolve) => setTimeout(resolve, TORN_RETRY_MS * (1 + Math.random())))
      } catch (error) {
        if (stopped) return
        if (++failures === 3) {
          gaveUp(partition, error)
          return // the sweep comes back
        }
        log.debug({ event: 'drain_failed', partition, err: error }, 'a drain failed')
        await new Promise((resolve) => setTimeout(resolve, TORN_RETRY_MS * 2 ** failures * (1 + Math.random())))
      }
    }
  }

  function kick (partition: number): Promise<void> {
    const active = running.get(partition)
    if (active) return active
    const done = untilEmpty(partition).finally(() => running.delete(partition))
    running.set(partition, done)
    return done
  }

  async function reduceNext (partition: number, redis: RedisClient, block_ms: number): Promise<boolean> {
    const allowed = events_max[partition] as number
    const result = await drain.whenWoken(redis, partition, { block_ms, events_max: allowed })
    if (stopped) return false
    if (result !== null) await settle(partition, allowed, result)
    if (result?.word === 'ok') return true
    await kick(partition)
    return !warned.has(partition)
  }

  const wake = createWake({ connections, keys, log, reduceNext })

  async function forget (): Promise<void> {
    for (let partition = 0; partition < keys.partitions && !stopped; partition++) {
      const { meta, producers } = keys.partition(partition)
      const args = { position: positions.get(partition) ?? '0', silent_ms: PRODUCER_SILENT_MS }
      try {
        positions.set(partition, String(replyOf(forgetScript, await forgetScript.run(connections.command, { meta, producers }, args))[1]))
      } catch (error) {
        log.debug({ event: 'forget_failed', partition, err: error }, 'producers were not looked through; the next minute tries again')
      }
    }
  }

  return {
    once,
    drained,
    onEpoch (listener) {
      raised.add(listener)
      return () => { raised.delete(listener) }
    },
    start () {
      if (!stopped) return
      stopped = false
      timers.add(setInterval(() => {
        for (let partition = 0; partition < keys.partitions; partition++) void kick(partition)
      }, sweep_interval_ms))
      timers.add(setInterval(() => { void forget() }, FORGET_INTERVAL_MS))
      wake.start()
    },
    async stop () {
      stopped = true
      for (const timer of timers) clearInterval(timer)
      timers.clear()
      wake.stop()
      await Promise.allSettled(running.values())
    }
  }
}
