// Appending events of gateways to the ingest streams, and waiting for the effect of one.

import { randomUUID } from 'node:crypto'
import type { ErrorCode } from '../protocol/errors.ts'
import { HeadwayError } from '../protocol/errors.ts'
import { ENTRY_BYTES_MAX, ENTRY_EVENTS_MAX } from '../protocol/limits.ts'
import { BATCH_FORMAT, packBatch, packEvent } from '../protocol/pack.ts'
import { groupBy } from '../protocol/ponyfills.ts'
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

/** `failed`: Redis did not answer while this event, or an earlier one of its partition, was being stored. It may be stored or not. */
export type BatchResult = SubmitResult | { outcome: 'failed', error: unknown }

export interface SubmitOptions {
  /** Becomes the id of the control request; default: a UUID. */
  request_id?: string
  /** Takes effect once, however often it is submitted with this request_id; remembered for an hour after the last time. */
  once?: boolean
  timeout_ms?: number
}

export interface Ingest {
  /** Stores events, in order within a job; does not wait for their effect. @throws HeadwayError invalid_field, … */
  append (events: readonly WorkerEvent[]): Promise<void>
  /** Stores one event and waits for its effect, whoever reduces it. */
  submit (event: WorkerEvent, options?: SubmitOptions): Promise<SubmitResult>
  /** Stores many, in order within a partition, and waits for the effect of each. One bad event refuses only itself. Results by index. */
  submitAll (events: readonly WorkerEvent[], options?: Pick<SubmitOptions, 'timeout_ms'>): Promise<BatchResult[]>
}

const SUBMIT_TIMEOUT_MS = 2000
const RETRY_MS = 10

export function createIngest ({ connections, keys, drainer }: { connections: Connections, keys: Keys, drainer: Drainer }): Ingest {
  const redis = connections.command

  async function answersOf (partition: number, entryId: string): Promise<SubmitResult[] | null> {
    const found = await redis.xrange(keys.partition(partition).answers, entryId, entryId)
    const text = found[0]?.[1][1]
    const answers = text === undefined ? [] : decodeAnswer(text)
    return answers.length === 0 ? null : answers
  }

  // The entry is stored: whatever goes wrong from here on is no reason to send it again.
  async function lookFor (partition: number, entryId: string): Promise<SubmitResult[] | 'again' | 'wait' | 'never'> {
    try {
      const { word, cursor, more } = await drainer.once(partition)
      const passed = word === 'ok' && !isBefore(cursor, entryId)
      const answers = passed ? await answersOf(partition, entryId) : null
      if (answers) return answers
      if (passed || word === 'held' || word === 'restoring' || word === 'newer_format') return 'never'
      return more ? 'again' : 'wait'
    } catch {
      return 'wait'
    }
  }

  /** @returns an answer for each event of the entry, or one for an entry refused as a whole; null = not known in time */
  async function waitFor (partition: number, entryId: string, until: number): Promise<SubmitResult[] | null> {
    while (performance.now() < until) {
      const seen = await lookFor(partition, entryId)
      if (seen === 'never') return null
      if (typeof seen === 'object') return seen
      if (seen === 'wait') await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
    }
    return null
  }

  const store = async (partition: number, batch: string, requestId: string, more: readonly string[] = []): Promise<string> =>
    await redis.xadd(keys.partition(partition).ingest, '*', 'b', batch, 're', requestId, ...more) as string

  /** Events of one partition; `place` tells where each one's result belongs. */
  async function submitPart (partition: number, part: readonly Placed[], results: BatchResult[], until: number): Promise<void> {
    const stored: { id: string, places: number[] }[] = []
    let failure: { error: unknown } | null = null
    for (const { batch, places } of entriesOf(part, (place, error) => { results[place] = refusalOf(error) })) {
      // Behind one that failed nothing is stored: it would come before it when the sender tries again.
      if (failure === null) {
        try {
          stored.push({ id: await store(partition, batch, randomUUID()), places })
          continue
        } catch (error) {
          failure = { error }
        }
      }
      for (const place of places) results[place] = { outcome: 'failed', error: failure.error }
    }
    const newest = stored.at(-1)?.id
    const newestAnswers = newest === undefined ? null : await waitFor(partition, newest, until)
    for (const { id, places } of stored) {
      // Whoever reduced the newest has reduced those before it.
      const answers = id === newest ? newestAnswers : await answersOf(partition, id).catch(() => null)
      places.forEach((place, at) => {
        results[place] = answers?.[answers.length === places.length ? at : 0] ?? { outcome: 'unconfirmed', entry_id: id }
      })
    }
  }

  return {
    async append (events) {
      const byPartition = groupBy(events, ({ tenant, job }) => keys.job(tenant, job).partition)
      await Promise.all([...byPartition].map(async ([partition, list]) => {
        const part = list.map((event, place) => ({ event, place }))
        const entries = entriesOf(part, (_, error) => { throw error })
        for (const { batch } of entries) await redis.xadd(keys.partition(partition).ingest, '*', 'b', batch)
      }))
    },
    async submit (event, { request_id = randomUUID(), once = false, timeout_ms = SUBMIT_TIMEOUT_MS } = {}) {
      const { partition } = keys.job(event.tenant, event.job)
      const until = performance.now() + timeout_ms
      // A producer with this one entry: the reducer knows its number, and skips it from then on.
      const entryId = await store(partition, packBatch([event]), request_id, once ? ['p', request_id, 'n', '1'] : [])
      return (await waitFor(partition, entryId, until))?.[0] ?? { outcome: 'unconfirmed', entry_id: entryId }
    },
    async submitAll (events, { timeout_ms = SUBMIT_TIMEOUT_MS } = {}) {
      const results: BatchResult[] = []
      const until = performance.now() + timeout_ms
      const placed = events.map((event, place) => ({ event, place }))
      const parts = groupBy(placed, ({ event: { tenant, job } }) => keys.job(tenant, job).partition)
      await Promise.all([...parts].map(async ([partition, part]) => { await submitPart(partition, part, results, until) }))
      return results
    }
  }
}

/** Order of two stream ids. */
export function isBefore (a: string, b: string): boolean {
  const [aMs, aN] = a.split('-').map(Number) as [number, number]
  const [bMs, bN] = b.split('-').map(Number) as [number, number]
  return aMs < bMs || (aMs === bMs && aN < bN)
}

interface Placed { event: WorkerEvent, place: number }

interface Entry { batch: string, places: number[] }

/** Entries within the bounds, in order. @param refuse is told of an event that has no packed form, which is left out */
function * entriesOf (part: readonly Placed[], refuse: (place: number, error: HeadwayError) => void): Generator<Entry> {
  let batch = ''
  let places: number[] = []
  let previous: WorkerEvent | undefined
  for (const { event, place } of part) {
    try {
      let line = packEvent(event, previous)
      if (places.length === ENTRY_EVENTS_MAX || Buffer.byteLength(batch) + Buffer.byteLength(line) >= ENTRY_BYTES_MAX) {
        yield { batch, places }
        places = []
        line = packEvent(event)
      }
      batch = (places.length === 0 ? BATCH_FORMAT : batch) + '\n' + line
      places.push(place)
      previous = event
    } catch (error) {
      if (!(error instanceof HeadwayError)) throw error
      refuse(place, error)
    }
  }
  if (places.length > 0) yield { batch, places }
}

function refusalOf ({ code, message, allowed }: HeadwayError): SubmitResult {
  return { outcome: 'refused', code, detail: message, state: null, allowed: [...allowed] }
}
