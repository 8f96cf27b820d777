// The model on the source document's own examples, and on the rules that are easily misread. No Redis here.

import t from 'tap'
import { createModel, type Model } from './model.ts'
import { effective } from './job.ts'
import type { Fact, ItemFacts, RegisterFacts } from './facts.ts'
import type { JobState } from '../../../src/protocol/states.ts'

const START = 1_800_000_000_000

interface Bench {
  model: Model
  /** Appends at the current time and drains. */
  say: (...facts: Fact[]) => void
  /** Lets time pass in steps that somebody drains in. */
  pass: (ms: number) => void
  job: () => NonNullable<ReturnType<Model['jobs']['get']>>
  /** Letters of the log so far. */
  log: () => string
}

function bench (): Bench {
  const settings = {
    control_timeout_ms: 60_000,
    stall_after_ms: 30_000,
    abandon_after_ms: 604_800_000,
    retention_ms: 300_000,
    items_max: 100,
    outbox: 'none'
  } as const
  const model = createModel({ last_ms: START, epoch: START + 60_000, last_epoch: START + 60_000, owns: () => true, settings })
  let now = START
  let n = 0
  return {
    model,
    say (...facts) {
      model.append({ id: `${now}-${n++}`, events: facts, producer: null, request_id: null, fault: null })
      model.drain({ now_ms: now, entries: 1 })
    },
    pass (ms) {
      for (const end = now + ms; now < end;) {
        now = Math.min(now + 4_000, end)
        model.drain({ now_ms: now, entries: 0 })
      }
    },
    job: () => model.jobs.get('default/job_123') as NonNullable<ReturnType<Model['jobs']['get']>>,
    log: () => [...model.logs.values()].flat().map((event) => event.letter).join('')
  }
}

const address = { tenant: 'default', job: 'job_123', cid: null }

function register (data: Partial<RegisterFacts>): Fact {
  return {
    ...address,
    type: 'register',
    data: {
      items_total: 100,
      state: 'pending',
      initial: { completed: 0, failed: 0, skipped: 0, canceled: 0 },
      rate_limited: false,
      deadline_ms: null,
      auto_complete: false,
      fail_on_deadline: false,
      created_wall: null,
      title: null,
      job_kind: null,
      item_kind: 'video',
      concurrency: null,
      metadata_json: null,
      ...data
    }
  }
}

function state (name: JobState | 'rate_limited', more: { resume?: boolean, reason?: string } = {}): Fact {
  return { ...address, type: 'state', data: { state: name, resume: more.resume ?? false, retry_at_wall: null, reason: more.reason ?? null } }
}

const control = (action: 'pause' | 'resume' | 'cancel'): Fact => ({ ...address, type: 'control', data: { action, reason: null } })
const beat = (ack: string | null = null): Fact => ({ ...address, type: 'heartbeat', data: { ack, worker: null } })

function item (id: string, name: ItemFacts['state'], more: Partial<ItemFacts> = {}): Fact {
  return {
    ...address,
    type: 'item',
    data: {
      id,
      state: name,
      attempt: null,
      retryable: null,
      percent: null,
      duration_ms: null,
      created_wall: null,
      updated_wall: null,
      truncated: null,
      row_index: null,
      weight: null,
      title: null,
      kind: null,
      worker: null,
      error_json: null,
      result_json: null,
      ...more
    }
  }
}

t.test('the unit test of the source document: 50 completed, 2 failed, 1 skipped of 100', async (t) => {
  const b = bench()
  b.say(register({ state: 'running', initial: { completed: 50, failed: 2, skipped: 1, canceled: 0 } }))
  const { completed, failed, skipped, canceled } = effective(b.job())
  t.equal((completed + skipped) / 100 * 100, 51)
  t.equal(100 - completed - failed - skipped - canceled, 47)
})

t.test('its lifecycle: register, running, a report, an item, completed', async (t) => {
  const b = bench()
  b.say(register({ deadline_ms: 3_600_000 }))
  b.say(state('running', { reason: 'worker_assigned' }))
  b.say({
    ...address,
    type: 'progress',
    data: { items_total: null, reported: { completed: 25, failed: 0, skipped: 0, canceled: 0 }, rate_limited: null, retry_at_wall: null }
  })
  b.say(item('vid_001', 'completed', { percent: 10_000, row_index: 1, title: 'Introduction Video' }))
  t.equal(effective(b.job()).completed, 25, 'the greater of reported and counted')
  b.say(state('completed', { reason: 'all_items_processed' }))
  t.equal(b.log(), 'ScSF')
  t.equal(b.job().seq, 4)
  t.equal(b.job().rev, 5)
})

t.test('its worker says running before every item, and does not undo a pause', async (t) => {
  const b = bench()
  b.say(register({}))
  b.say(state('running'), item('a', 'processing'))
  b.say(control('pause'))
  const request = b.job().control.id
  b.say(state('running'))
  t.equal(b.job().state, 'pausing')
  t.ok(request)
  b.say(beat('another'))
  t.equal(b.job().control.id, request)
  b.say(beat(request))
  t.same(b.job().control, { id: null, action: 'pause', at: START, acked: true })
  b.say(item('a', 'completed'))
  b.pass(999)
  t.equal(b.job().state, 'pausing')
  b.pass(1)
  t.equal(b.job().state, 'paused', 'a second after the last item left processing')
  b.say(state('running', { resume: true }))
  t.equal(b.job().state, 'running')
})

t.test('its rate limit: a condition that leaves the state, cleared by running or by time', async (t) => {
  const b = bench()
  b.say(register({ state: 'running' }))
  b.say(state('rate_limited', { reason: 'quota_exceeded' }))
  b.say(state('rate_limited'))
  t.equal(b.job().state, 'running')
  t.ok(b.job().rate_limited)
  b.say(state('running'))
  t.notOk(b.job().rate_limited)
  b.say(state('rate_limited'))
  b.pass(60_000)
  t.notOk(b.job().rate_limited)
  t.equal(b.log(), 'LlLl')
})

t.test('its retries without attempt', async (t) => {
  const b = bench()
  b.say(register({ state: 'running', items_total: 1, auto_complete: true }))
  b.say(item('a', 'processing'), item('a', 'failed', { retryable: true }))
  t.equal(b.job().state, 'running', 'a retryable failure does not settle')
  b.say(item('a', 'processing'))
  t.equal(b.job().items.get('a')?.attempt, 2)
  b.say(item('a', 'completed', { attempt: 1 }))
  t.equal(b.job().items.get('a')?.state, 'processing', 'the first attempt is stale')
  b.say(item('a', 'completed'))
  t.equal(b.job().state, 'completed')
  t.equal(b.log(), 'sfrcSSF')
})

t.test('nobody acknowledges a cancel: forced after the time-out', async (t) => {
  const b = bench()
  b.say(register({ state: 'running' }))
  b.say(item('a', 'processing'))
  b.say(control('cancel'))
  b.pass(59_999)
  t.equal(b.job().state, 'canceling')
  b.pass(1)
  t.equal(b.job().state, 'canceled')
  t.match(b.model.logs.values().next().value?.at(-2), { letter: 'S', forced: true, reason: 'control_timeout' })
})

t.test('time in which nobody drained stalls nobody', async (t) => {
  const b = bench()
  b.say(register({ state: 'running' }))
  b.say(beat())
  b.model.drain({ now_ms: START + 100_000, entries: 0 })
  t.notOk(b.job().stalled)
  t.equal(b.model.clock.gap_ms, 100_000)
})

t.test('a finished job leaves after the retention, and its id begins a new epoch', async (t) => {
  const b = bench()
  b.say(register({}))
  const { epoch } = b.job()
  b.say(control('cancel'))
  b.say(register({}))
  t.match(b.model.deadLetters, [{ codes: ['job_finished'] }])
  b.pass(300_000)
  t.equal(b.model.jobs.size, 0)
  b.say(register({}))
  t.ok(b.job().epoch > epoch)
})
