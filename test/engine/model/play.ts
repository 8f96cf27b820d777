// Plays a random sequence of steps in an arena.

import type { Engine } from '../../../src/engine/engine.ts'
import type { RedisClient } from '../../../src/engine/connections.ts'
import { openArena, type Arena, type ArenaParams } from './arena.ts'
import { chooseFact } from './choose.ts'
import type { Entry, Fact } from './facts.ts'
import { flatFaults, lineFaults } from './faults.ts'
import { createModel, jobKey, type Model } from './model.ts'
import type { Intent, Step } from './steps.ts'
import { flatFields, packedLine, type WireFields } from './wire.ts'

export interface PlayParams extends ArenaParams {
  flushScripts: () => Promise<void>
}

/** @throws Error with the differences and everything that led to them */
export async function play (sequence: readonly Step[], params: PlayParams): Promise<void> {
  const arena = await openArena(params)
  const game = createGame(arena, params)
  for (const step of sequence) await game(step)
  // Whatever is left, and every timer that comes due within the next seconds.
  for (let n = 0; n < 4; n++) {
    arena.now_ms += 3_500
    do await arena.drain({ events_max: 256, drainers: 1 }); while (arena.model.backlog.length > 0)
  }
}

function createGame (arena: Arena, params: PlayParams): (step: Step) => Promise<void> {
  const { world, redis, engines } = params
  const engine = engines[0] as Engine
  const keys = engine.keys.partition(world.partition)
  const { model } = arena
  /** Drains everything at once: what the next event will meet. */
  const foreseen: Model = createModel({
    last_ms: model.clock.last_ms, epoch: 0, last_epoch: arena.now_ms, owns: world.owns, settings: params.settings
  })
  const numbers = [0, 0]
  const lastSent: ({ fields: WireFields, parts: Omit<Entry, 'id'> } | undefined)[] = []
  let requests = 0

  return async (step) => {
    if ('wait_ms' in step) arena.now_ms += step.wait_ms
    switch (step.op) {
      case 'append': return appendEvents(step)
      case 'drain': return arena.drain(step)
      case 'flush_scripts': return params.flushScripts()
      case 'rewind': return arena.rewind(step.entries)
      case 'read_outbox': return arena.readOutbox(step.also_dirty)
      case 'tear': return tear(step.job, step.part)
    }
  }

  function send (fields: WireFields, parts: Omit<Entry, 'id'>): void {
    const entry = arena.append(fields, parts)
    foreseen.append(entry)
    foreseen.drain({ now_ms: arena.now_ms, entries: 1 })
  }

  function appendEvents (step: Step & { op: 'append' }): void {
    const request = step.asks ? `rq-${++requests}` : null
    if (step.numbering === 'same') {
      const last = lastSent[step.producer]
      if (last !== undefined) send(last.fields, last.parts) // the same bytes once more
      return
    }
    const producer = step.numbering === 'none'
      ? null
      : { name: `p:${step.producer}`, n: (numbers[step.producer] ?? 0) + (step.numbering === 'gap' ? 2 : 1) }
    const { fields, events, fault } = step.packed ? batch(step.intents) : flat(step.intents[0] as Intent)
    const parts = { events, producer, request_id: request, fault }
    if (fields.includes('p')) return send(fields, { ...parts, producer: null, request_id: null }) // a fault of the numbers themselves
    if (producer !== null) fields.push('p', producer.name, 'n', String(producer.n))
    if (request !== null) fields.push('re', request)
    if (producer !== null && step.numbering === 'next') {
      numbers[step.producer] = producer.n
      lastSent[step.producer] = { fields, parts }
    }
    send(fields, parts)
  }

  function flat (intent: Intent): { fields: WireFields, events: Fact[], fault: readonly string[] | null } {
    if (intent.spirit === 'fault') {
      const faults = flatFaults(world.jobs[intent.job] as (typeof world.jobs)[number])
      const { codes, fields } = faults[intent.dice % faults.length] as (typeof faults)[number]
      return { fields: [...fields], events: [], fault: [...codes, 'unknown_job', 'job_ended', 'job_finished'] }
    }
    const fact = chooseFact(intent, world, foreseen, arena.now_ms)
    const { dice } = intent
    const fields = flatFields(fact, { bare: dice % 2 === 0, times: dice % 3, nulls: dice % 5 === 0, unknown: dice % 7 === 0 })
    return { fields, events: [fact], fault: null }
  }

  function batch (intents: readonly Intent[]): { fields: WireFields, events: Fact[], fault: null } {
    const lines = ['1']
    const events: Fact[] = []
    let previous: Fact | null = null
    for (const intent of intents) {
      const name = world.jobs[intent.job] as (typeof world.jobs)[number]
      if (intent.spirit === 'fault') {
        const faults = lineFaults(name)
        const { codes, line } = faults[intent.dice % faults.length] as (typeof faults)[number]
        lines.push(line)
        events.push({ ...name, cid: null, type: 'fault', codes })
        previous = null
        continue
      }
      const fact = chooseFact(intent, world, foreseen, arena.now_ms)
      lines.push(packedLine(fact, previous))
      events.push(fact)
      previous = fact
    }
    return { fields: ['b', lines.join('\n')], events, fault: null }
  }

  /** Half of a job, or the partition's own state, is missing, as in the middle of a slot's move: nothing may be written. */
  async function tear (index: number, part: 'hash' | 'agenda' | 'meta'): Promise<void> {
    const { tenant, job } = world.jobs[index] as (typeof world.jobs)[number]
    if (!model.jobs.has(jobKey(tenant, job)) || model.backlog.length > 40) return
    const fact = { type: 'heartbeat', tenant, job, cid: null, data: { ack: null, worker: null } } as const
    const fields = flatFields(fact, { bare: false, times: 0, nulls: false, unknown: false })
    send(fields, { events: [fact], producer: null, request_id: null, fault: null })
    await arena.flush()
    const address = engine.keys.job(tenant, job)
    arena.trace.push(`without the ${part} of ${address.member}:`)
    if (part === 'agenda') {
      const score = await redis.zscore(keys.agenda, address.member) as string
      await redis.zrem(keys.agenda, address.member)
      await arena.drainInVain('torn')
      await redis.zadd(keys.agenda, score, address.member)
      return
    }
    await withoutKey(redis, part === 'hash' ? address.key : keys.meta, () => arena.drainInVain(part === 'hash' ? 'torn' : 'absent'))
  }
}

async function withoutKey (redis: RedisClient, key: string, during: () => Promise<void>): Promise<void> {
  const copy = await redis.dumpBuffer(key) as Buffer
  await redis.unlink(key)
  await during()
  await redis.restore(key, 0, copy)
}
