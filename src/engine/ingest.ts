// Appending events of gateways to the ingest streams, and waiting for the effect of one.

import { randomUUID } from 'node:crypto'
import type { ErrorCode } from '../protocol/errors.ts'
import { ENTRY_BYTES_MAX, ENTRY_EVENTS_MAX } from '../protocol/limits.ts'
import { BATCH_FORMAT, packBatch, packEvent } from '../protocol/pack.ts'
import type { JobState } from '../protocol/states.ts'
import type { WorkerEvent } from '../protocol/worker-events.ts'
import type { Connections } from './connections.ts'
import type { Drainer } from './drainer.ts'
import type { Keys } from './keys.ts'
import { decodeAnswer } from './packed.ts'

export type SubmitResult =
  | { outcome: 'ok', effect: 'applied' | 'repeat' | 'ignored', state: JobState, rev: number, request_id: string | null }
  | { outcome: 'refused', code: ErrorCode, detail: string, state: JobState | null, allowed: string[] }
  /** Stored, but its effect was not seen in time. */
  | { outcome: 'unconfirmed', entry_id: string }

export interface SubmitOptions {
  /** Becomes the id of the control request; default: a UUID. */
  request_id?: string
  timeout_ms?: number
}

export interface Ingest {
  /** Stores events, in order within a job; does not wait for their effect. @throws HeadwayError invalid_field, … */
  append (events: readonly WorkerEvent[]): Promise<void>
  /** Stores one event and waits for its effect, whoever reduces it. */
  submit (event: WorkerEvent, options?: SubmitOptions): Promise<SubmitResult>
}

const SUBMIT_TIMEOUT_MS = 2000
const RETRY_MS = 10

export function createIngest ({ connections, keys, drainer }: { connections: Connections, keys: Keys, drainer: Drainer }): Ingest {
  const redis = connections.command

  async function answerOf (partition: number, entryId: string): Promise<SubmitResult | null> {
    const found = await redis.xrange(keys.partition(partition).answers, entryId, entryId)
    const text = found[0]?.[1][1]
    return text === undefined ? null : decodeAnswer(text)[0] ?? null
  }

  // The entry is stored: whatever goes wrong from here on is no reason to send it again.
  async function lookFor (partition: number, entryId: string): Promise<SubmitResult | 'again' | 'wait' | 'never'> {
    try {
      const { word, cursor, more } = await drainer.once(partition)
      const passed = word === 'ok' && !isBefore(cursor, entryId)
      const answer = passed ? await answerOf(partition, entryId) : null
      if (answer) return answer
      if (passed || word === 'held' || word === 'newer_format') return 'never'
      return more ? 'again' : 'wait'
    } catch {
      return 'wait'
    }
  }

  return {
    async append (events) {
      const byPartition = Map.groupBy(events, ({ tenant, job }) => keys.job(tenant, job).partition)
      await Promise.all([...byPartition].map(async ([partition, list]) => {
        for (const batch of batches(list)) await redis.xadd(keys.partition(partition).ingest, '*', 'b', batch)
      }))
    },
    async submit (event, { request_id = randomUUID(), timeout_ms = SUBMIT_TIMEOUT_MS } = {}) {
      const { partition } = keys.job(event.tenant, event.job)
      const until = performance.now() + timeout_ms
      const entryId = await redis.xadd(keys.partition(partition).ingest, '*', 'b', packBatch([event]), 're', request_id) as string
      while (performance.now() < until) {
        const seen = await lookFor(partition, entryId)
        if (seen === 'never') break
        if (typeof seen === 'object') return seen
        if (seen === 'wait') await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
      }
      return { outcome: 'unconfirmed', entry_id: entryId }
    }
  }
}

/** Order of two stream ids. */
export function isBefore (a: string, b: string): boolean {
  const [aMs, aN] = a.split('-').map(Number) as [number, number]
  const [bMs, bN] = b.split('-').map(Number) as [number, number]
  return aMs < bMs || (aMs === bMs && aN < bN)
}

/** Batches within the bounds of an entry, in order. */
function * batches (events: readonly WorkerEvent[]): Generator<string> {
  let batch = ''
  let count = 0
  let previous: WorkerEvent | undefined
  for (const event of events) {
    let line = packEvent(event, previous)
    if (count === ENTRY_EVENTS_MAX || Buffer.byteLength(batch) + Buffer.byteLength(line) >= ENTRY_BYTES_MAX) {
      yield batch
      batch = ''
      count = 0
      line = packEvent(event)
    }
    batch = (count === 0 ? BATCH_FORMAT : batch) + '\n' + line
    count++
    previous = event
  }
  if (count > 0) yield batch
}
