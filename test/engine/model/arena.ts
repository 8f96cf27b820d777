// One partition of a real engine beside its model: both get the same entries and drains, and are compared after each drain.

import { createPartition } from '../../../src/engine/partitions.ts'
import type { DrainResult, Engine } from '../../../src/engine/engine.ts'
import type { RedisClient } from '../../../src/engine/connections.ts'
import { differences } from './compare.ts'
import type { Answer, Counts, Entry, Message, ModelSettings } from './facts.ts'
import type { Heard, Listener } from './listener.ts'
import { compareIds, createModel, IDLE_NOTE_MS, jobKey, millisecondsOf, type Model } from './model.ts'
import { expectedJob, expectedMessage, expectedTenantLine, storedJob, storedMessage, storedTenantMessage, type Shape } from './stored.ts'
import { nextTimer } from './timers.ts'
import type { WireFields } from './wire.ts'
import type { World } from './world.ts'

/** Where every sequence begins, wall ms: far from the real clock, so that a use of that one shows. */
export const START_MS = 1_800_000_000_000

const ANSWERS_KEPT_MS = 10_000

export interface ArenaParams {
  /** More than one drain at once; all on the same prefix. */
  engines: readonly Engine[]
  redis: RedisClient
  world: World
  settings: ModelSettings
  log_events_max: number
  listener: Listener
  /** Gets the letter of every event, the effects, the codes of refusals: what the sequences have reached. */
  reached: Set<string>
}

export interface Arena {
  readonly model: Model
  /** Wall ms. */
  now_ms: number
  /** What happened so far, for the report of a failure. */
  readonly trace: string[]
  append (fields: WireFields, entry: Omit<Entry, 'id'>): Entry
  /** Drains with so many callers at once, lets the model do the same, and compares. */
  drain (options: { events_max: number, drainers: number }): Promise<void>
  /** Sends what `append` has put by. */
  flush (): Promise<void>
  /** The last entries consumed may be read once more. */
  rewind (count: number): Promise<void>
  /** Plays the persister: everything in the outbox is stored, and with `alsoDirty` the rows of the dirty jobs too. */
  readOutbox (alsoDirty: boolean): Promise<void>
  /** A drain that must change nothing and say `word`. */
  drainInVain (word: DrainResult['word']): Promise<void>
}

/** A fresh partition on both sides. */
export async function openArena (params: ArenaParams): Promise<Arena> {
  const { engines, redis, world, settings, log_events_max: logEventsMax, listener, reached } = params
  const engine = engines[0] as Engine
  const keys = engine.keys.partition(world.partition)
  const jobKeys = world.jobs.map(({ tenant, job }) => engine.keys.job(tenant, job).key)
  const allKeys = [...Object.values(keys) as string[], ...jobKeys]
  await redis.unlink(...allKeys)
  await createPartition(redis, engine.keys, world.partition, { now_ms: START_MS })
  const [meta, epoch] = await redis.hmget(keys.meta, '_', 'ep')
  const [, , , , lastMs, , lastEpoch] = (meta ?? '').split('\t').map(Number)
  const model = createModel({ last_ms: lastMs ?? NaN, epoch: Number(epoch), last_epoch: lastEpoch ?? NaN, owns: world.owns, settings })
  const trace: string[] = []
  await listener.take()
  const consumed: { entry: Entry, fields: WireFields }[] = []
  const fieldsOf = new Map<string, WireFields>()
  const replayed = new Set<string>()
  let unsent: { id: string, fields: WireFields }[] = []
  let lastId = '0-0'
  let rejectedAfter = '-'
  let outboxAfter = '-'

  const arena: Arena = { model, now_ms: START_MS, trace, append, drain, flush, rewind, readOutbox, drainInVain }
  return arena

  function append (fields: WireFields, parts: Omit<Entry, 'id'>): Entry {
    const [lastMsOfId, lastN] = lastId.split('-').map(Number)
    const id = `${arena.now_ms}-${lastMsOfId === arena.now_ms ? Number(lastN) + 1 : 0}`
    lastId = id
    const entry = { id, ...parts }
    unsent.push({ id, fields })
    fieldsOf.set(id, fields)
    model.append(entry)
    trace.push(`XADD ingest ${id} ${fields.map((field) => JSON.stringify(field.toString())).join(' ')}`)
    return entry
  }

  async function flush (): Promise<void> {
    if (unsent.length === 0) return
    const pipeline = redis.pipeline()
    for (const { id, fields } of unsent) pipeline.xadd(keys.ingest, id, ...fields)
    unsent = []
    for (const [error] of await pipeline.exec() ?? []) if (error) throw error
  }

  async function drain ({ drainers, ...batch }: { events_max: number, drainers: number }): Promise<void> {
    await flush()
    const options = { now_ms: arena.now_ms, events_max: batch.events_max }
    trace.push(`drain ${JSON.stringify({ ...options, drainers })}`)
    const results = await Promise.all(Array.from({ length: drainers }, (_, n) =>
      (engines[n % engines.length] as Engine).drain(world.partition, options)))
    // They ran one after the other in an unknown order: who read further came later, who read nothing came last, and of
    // those the first had the timers.
    results.sort((a, b) => compareIds(a.cursor, b.cursor) || b.consumed - a.consumed || b.timers - a.timers)
    const published: Sent[] = []
    const written: Sent[] = []
    for (const result of results) {
      const before = model.backlog.slice(0, result.consumed)
      consumed.push(...before.map((entry) => ({ entry, fields: fieldsOf.get(entry.id) as WireFields })))
      const grown = model.outbox.length
      const { messages: told, ...counts } = model.drain({ now_ms: arena.now_ms, entries: result.consumed, more: result.more })
      noteReached(told, counts)
      const sent = { gap_ms: model.clock.gap_ms, messages: told }
      published.push(sent)
      if (model.outbox.length > grown) written.push({ ...sent, messages: model.outbox.at(-1)?.messages ?? [] })
      const faults = differences(
        { word: 'ok', cursor: before.at(-1)?.id ?? result.cursor, ...counts },
        pick(result, ['word', 'cursor', ...Object.keys(counts) as (keyof Counts)[]])
      )
      const events = before.reduce((sum, entry) => sum + Math.max(1, entry.events.length), 0)
      if (result.more && model.backlog.length === 0 && events < batch.events_max) faults.push('it says that there may be more')
      if (!result.more && model.backlog.length > 0) faults.push('it says that there is no more')
      if (result.consumed === 0 && model.backlog.length > 0) faults.push('it read nothing, and there is a backlog')
      if (faults.length > 0) report('drain', [...faults, ...await lastRefusals(counts.rejected + result.rejected)])
    }
    compareHeard(published, await listener.take())
    await compare(written)
  }

  function noteReached (messages: readonly Message[], counts: Counts): void {
    for (const [name, count] of Object.entries(counts)) if (count > 0) reached.add(name)
    for (const message of messages) {
      if (message.type === 'gone') reached.add('gone')
      else for (const { letter } of [...message.events, ...message.progress]) reached.add(letter)
      if (message.type === 'update') reached.add(message.job.state)
    }
    for (const { codes } of model.deadLetters) for (const code of codes) reached.add(code)
  }

  async function lastRefusals (count: number): Promise<string[]> {
    const last = await redis.xrevrange(keys.rejected, '+', '-', 'COUNT', count + 1)
    return last.map(([, fields]) => `refused: ${fields.join(' ').slice(0, 300)}`)
  }

  function pick<T extends object, K extends keyof T> (from: T, names: readonly K[]): Shape {
    return Object.fromEntries(names.map((name) => [name, from[name]]))
  }

  function report (where: string, lines: readonly string[]): void {
    if (lines.length === 0) return
    throw new Error([`${where} differs`, ...lines.slice(0, 20), '--- after', ...trace].join('\n'))
  }

  /** Each job's messages in order, and on its tenant's channel the same headers. */
  function compareHeard (published: readonly Sent[], heard: readonly Heard[]): void {
    const expected = published.flatMap(({ gap_ms: gap, messages }) => messages.map((message) => expectedMessage(message, gap)))
    const stored = heard.filter(({ message }) => !message.startsWith('1t')).map(({ message }) => storedMessage(message))
    for (const { tenant, job } of world.jobs) {
      const ofJob = (message: Shape): boolean => message['tenant'] === tenant && message['id'] === job
      report(`messages of ${tenant}/${job}`, differences(expected.filter(ofJob), stored.filter(ofJob)))
    }
    for (const tenant of new Set(world.jobs.map((name) => name.tenant))) {
      const channel = engine.keys.tenantPrefix(world.partition) + tenant
      report(`changes of tenant ${tenant}`, differences(
        byJob(expected.filter((message) => message['tenant'] === tenant).map(expectedTenantLine)),
        byJob(heard.filter((one) => one.channel === channel).flatMap(({ message }) => storedTenantMessage(message, tenant)))
      ))
    }
  }

  async function compare (written: readonly Sent[]): Promise<void> {
    const after = (id: string): string => id === '-' ? '-' : `(${id}`
    const pipeline = redis.pipeline()
    pipeline.hgetall(keys.producers)
    pipeline.zrange(keys.agenda, '0', '-1', 'WITHSCORES')
    pipeline.zrange(keys.jobs, '0', '-1')
    pipeline.zrange(keys.dirty, '0', '-1', 'WITHSCORES')
    pipeline.xrange(keys.rejected, after(rejectedAfter), '+')
    pipeline.xrange(keys.outbox, after(outboxAfter), '+')
    pipeline.xrange(keys.answers, '-', '+')
    pipeline.hmget(keys.meta, '_', 'ep')
    for (const key of jobKeys) pipeline.hgetall(key)
    const replies = (await pipeline.exec() ?? []).map(([error, reply]) => {
      if (error) throw error
      return reply
    })
    const [producers, agenda, jobs, dirty, rejected, outbox, answers, metaNow, ...hashes] = replies as [
      Hash, string[], string[], string[], StreamEntry[], StreamEntry[], StreamEntry[], string[], ...Hash[]
    ]
    compareJobs(hashes)
    compareSets(agenda, jobs, dirty, producers, metaNow)
    rejectedAfter = rejected.at(-1)?.[0] ?? rejectedAfter
    outboxAfter = outbox.at(-1)?.[0] ?? outboxAfter
    compareDeadLetters(rejected)
    report('outbox', differences(
      written.map(({ gap_ms: gap, messages }) => byJob(messages.map((message) => ({ ...expectedMessage(message, gap), progress: {} })))),
      outbox.map(([, fields]) => byJob(valuesOf(fields, 'm').map(storedMessage)))
    ))
    compareAnswers(answers)
  }

  function compareJobs (hashes: readonly Record<string, string>[]): void {
    for (const [n, { tenant, job: id }] of world.jobs.entries()) {
      const hash = hashes[n] ?? {}
      const job = model.jobs.get(jobKey(tenant, id))
      if (job === undefined || hash['_'] === undefined) {
        const same = job === undefined && hash['_'] === undefined
        report(`job ${tenant}/${id}`, same ? [] : [`expected ${job?.state ?? 'no job'}, stored ${hash['_'] ?? 'no job'}`])
        continue
      }
      const log = model.logs.get(`${jobKey(tenant, id)}/${job.epoch}`) ?? []
      const stored = storedJob(hash)
      const kept = (stored['log'] as unknown[]).length
      report(`job ${tenant}/${id}`, differences(expectedJob(job, log, model.effectiveEpoch(job), kept), stored))
      if (kept < Math.min(log.length, logEventsMax / 2) || kept > logEventsMax + 64) report(`job ${tenant}/${id}`, [`${kept} of ${log.length} events kept`])
    }
  }

  function compareSets (agenda: string[], listed: string[], dirty: string[], producers: Record<string, string>, metaNow: string[]): void {
    const alive = [...model.jobs.keys()].toSorted()
    const due = pairs(agenda)
    report('agenda', differences(alive, Object.keys(due).filter((name) => !name.startsWith('-')).toSorted()))
    for (const [key, job] of model.jobs) {
      const next = nextTimer(job, settings)
      // A finished job that the last drain could not remove comes with the next millisecond.
      const at = next?.timer === 'retention' ? Math.max(next.at, arena.now_ms - model.clock.gap_ms + 1) : next?.at
      if (next !== null && Number(due[key]) > Number(at)) report('agenda', [`${key}: ${next.timer} is due at ${next.at}, stored ${due[key]}`])
    }
    report('jobs', differences(
      [...model.jobs.values()].map((job) => `${job.tenant}/${String(job.epoch).padStart(13, '0')}/${job.id}`).toSorted(),
      listed.filter((name) => !name.startsWith('-')).toSorted()
    ))
    const { '-': _, ...dirtyJobs } = pairs(dirty)
    report('dirty', differences(Object.fromEntries(model.dirty), Object.fromEntries(Object.entries(dirtyJobs).map(([key, score]) => [key, Number(score)]))))
    report('producers', differences(
      Object.fromEntries([...model.producers].map(([name, { n }]) => [name, n])),
      Object.fromEntries(Object.entries(producers).filter(([name]) => name !== '-').map(([name, value]) => [name, Number(value.split('\t')[0])]))
    ))
    const [, , gapMs, gapEnd, last] = (metaNow[0] ?? '').split('\t').map(Number)
    // An idle drain may note the time or leave that to the next one, for less than a second.
    if (last === arena.now_ms || (last !== undefined && arena.now_ms - last < IDLE_NOTE_MS)) model.clock.last_ms = last
    report('clock', differences({ ...model.clock }, { gap_ms: gapMs, gap_end: gapEnd, last_ms: last }))
  }

  function compareDeadLetters (rejected: readonly StreamEntry[]): void {
    const expected = model.deadLetters.splice(0)
    if (expected.length !== rejected.length) {
      report('dead letters', [`expected ${JSON.stringify(expected)}, stored ${JSON.stringify(rejected)}`])
    }
    for (const [n, [, fields]] of rejected.entries()) {
      const letter = expected[n]
      const field = (name: string): string | undefined => valuesOf(fields, name)[0]
      if (letter === undefined) continue
      const code = field('code') ?? ''
      const faults = differences(letter.entry, field('entry'), 'entry')
      if (!letter.codes.includes(code)) faults.push(`code: expected ${letter.codes.join(' or ')}, stored ${code} (${field('detail')})`)
      if (letter.index !== null) faults.push(...differences(letter.index, Number(field('index')), 'index'))
      if (letter.tenant !== null && code !== 'unknown_type') faults.push(...differences(`${letter.tenant}/${letter.job}`, `${field('tenant')}/${field('job')}`, 'job'))
      report('dead letters', faults)
    }
  }

  function compareAnswers (stored: readonly StreamEntry[]): void {
    const lines = new Map(stored.map(([id, fields]) => [id, (valuesOf(fields, 'a')[0] ?? '').split('\n')]))
    for (const [id, answers] of model.answers) {
      if (replayed.has(id) || model.clock.last_ms - millisecondsOf(id) >= ANSWERS_KEPT_MS) continue
      const found = lines.get(id)
      if (found === undefined) report('answers', [`none for ${id}`])
      report(`answers to ${id}`, found?.length === answers.length
        ? answers.flatMap((answer, n) => differencesOfAnswer(answer, found[n] ?? ''))
        : [`expected ${JSON.stringify(answers)}, stored ${JSON.stringify(found)}`])
    }
    model.answers.clear()
  }

  function differencesOfAnswer (answer: Answer, line: string): string[] {
    const c = line.split('\t')
    if (answer.ok) {
      const expected = ['ok', answer.effect, answer.state, answer.rev === null ? null : String(answer.rev), answer.request_id ?? '']
      return differences(answer.state === null ? expected.slice(0, 2) : expected, answer.state === null ? c.slice(0, 2) : c, 'answer')
    }
    const faults = answer.codes.includes(c[1] ?? '') ? [] : [`answer: expected ${answer.codes.join(' or ')}, stored ${line}`]
    if (c[0] !== 'no') faults.push(`answer: expected no, stored ${line}`)
    if (answer.state !== null) faults.push(...differences(answer.state, c[3], 'state'))
    // What is allowed is told of jobs; of items it is left open.
    if (answer.state !== null && answer.codes.includes('invalid_transition')) faults.push(...differences(answer.allowed.toSorted(), (c[4] ?? '').split(',').filter(Boolean).toSorted(), 'allowed'))
    return faults
  }

  async function rewind (count: number): Promise<void> {
    await flush()
    const kept = new Set((await redis.xrange(keys.ingest, '-', '+')).map(([id]) => id))
    // Not over refusals of form: whether those or the repeat are noticed first is left open.
    const isFault = ({ entry }: { entry: Entry }): boolean => entry.fault !== null || entry.events.some(({ type }) => type === 'fault')
    const again = consumed.slice(-count)
    again.splice(0, again.findLastIndex((one) => isFault(one) || !kept.has(one.entry.id)) + 1)
    const first = again[0]
    if (first === undefined) return
    const [ms = 0, n = 0] = first.entry.id.split('-').map(Number)
    const cursor = n > 0 ? `${ms}-${n - 1}` : `${ms - 1}-18446744073709551615`
    const columns = (await redis.hget(keys.meta, '_') ?? '').split('\t')
    columns[1] = cursor
    await redis.hset(keys.meta, '_', columns.join('\t'))
    consumed.splice(consumed.length - again.length)
    for (const { entry } of again) replayed.add(entry.id)
    model.rewind(again.map(({ entry }) => entry))
    trace.push(`cursor back to ${cursor}`)
  }

  async function readOutbox (alsoDirty: boolean): Promise<void> {
    const written = (await redis.hget(keys.meta, '_') ?? '').split('\t')
    const last = await redis.xrevrange(keys.outbox, '+', '-', 'COUNT', 1)
    await redis.hset(keys.meta, 'obb', written[7] ?? '0', ...(last[0] === undefined ? [] : ['ob', last[0][0]]))
    await redis.xtrim(keys.outbox, 'MAXLEN', 0)
    model.readOutbox(model.outbox.at(-1)?.change ?? 0)
    if (alsoDirty && model.dirty.size > 0) {
      await redis.zrem(keys.dirty, ...model.dirty.keys())
      for (const key of [...model.dirty.keys()]) model.clean(key)
    }
    trace.push(`outbox read${alsoDirty ? ', dirty jobs written' : ''}`)
  }

  async function drainInVain (word: DrainResult['word']): Promise<void> {
    await flush()
    const before = await contentOfAll()
    const result = await engine.drain(world.partition, { now_ms: arena.now_ms, events_max: 256 })
    trace.push(`drain in vain: ${result.word}`)
    report('drain', differences(word, result.word, 'word'))
    report('drain in vain', differences(before, await contentOfAll()))
  }

  /** Every key's content; not DUMP, which changes with a hash's table. */
  async function contentOfAll (): Promise<unknown> {
    const pipeline = redis.pipeline()
    for (const key of [keys.ingest, keys.outbox, keys.answers, keys.rejected]) pipeline.xrange(key, '-', '+')
    for (const key of [keys.agenda, keys.jobs, keys.dirty]) pipeline.zrange(key, '0', '-1', 'WITHSCORES')
    for (const key of [keys.meta, keys.producers, ...jobKeys]) pipeline.hgetall(key)
    return (await pipeline.exec() ?? []).map(([, content]) => content)
  }
}

interface Sent { gap_ms: number, messages: readonly Message[] }

type Hash = Record<string, string>
type StreamEntry = [id: string, fields: string[]]

function valuesOf (fields: readonly string[], name: string): string[] {
  return fields.filter((_, n) => n % 2 === 1 && fields[n - 1] === name)
}

function byJob (messages: readonly Shape[]): Shape {
  return Object.fromEntries(messages.map((message) => [`${String(message['tenant'])}/${String(message['id'])}`, message]))
}

function pairs (reply: readonly string[]): Record<string, string> {
  return Object.fromEntries(reply.flatMap((name, n) => n % 2 === 0 ? [[name, reply[n + 1] ?? '']] : []))
}
