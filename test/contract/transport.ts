// What every transport of the worker SDK keeps, whichever way it takes. Called by a test of each implementation.

import type { Test } from 'tap'
import type { Engine } from '../../src/engine/engine.ts'
import type { JobNews, Transport } from '../../src/worker/transport.ts'
import { until } from '../support/wait.ts'

export interface TransportSetup {
  transport: Transport
  /** A running engine of the same deployment: what arrived is looked up here. */
  engine: Engine
  /** From here on nothing that the transport sends is stored. */
  cut (): Promise<void>
  /** The connections that watches hear by break; new ones can be made. */
  interrupt (): Promise<void>
}

/** What a watch tells, as texts. */
function watched (transport: Transport, job: string) {
  const news: JobNews[] = []
  const watch = transport.watch('acme', job, one => { news.push(one) })
  return {
    watch,
    news,
    changes: () => news.flatMap(one => one.changes.map(({ prior, next, reason }) => `${prior}>${next} ${reason ?? ''}`.trim())),
    view: () => news.at(-1)?.view?.() ?? null
  }
}

/** @param build a new deployment and transport, ended by teardowns of the test that it gets */
export async function transportContract (t: Test, build: (t: Test) => Promise<TransportSetup>): Promise<void> {
  await t.test('what resolves is stored, and takes effect in the order of the calls', async t => {
    const { transport, engine } = await build(t)
    const calls = [
      transport.send({ type: 'job.register', tenant: 'acme', job: 'j', data: { items_total: 50 } }),
      transport.send({ type: 'job.state', tenant: 'acme', job: 'j', data: { state: 'running' } })
    ]
    for (let i = 0; i < 50; i++) {
      for (const state of ['processing', 'completed'] as const) {
        calls.push(transport.send({ type: 'item.update', tenant: 'acme', job: 'j', data: { id: `i${i}`, state } }))
      }
    }
    calls.push(transport.send({ type: 'job.state', tenant: 'acme', job: 'j', data: { state: 'completed' } }))
    await Promise.all(calls)
    const read = await until(async () => {
      const found = await engine.readJob('acme', 'j')
      return found?.job.state === 'completed' ? found : null
    }, { what: 'the job is completed' })
    t.match(read.job, { seq: 103, counted: { completed: 50, processing: 0, pending: 0 } })
    const log = await engine.readLog('acme', 'j', 0)
    t.same(log!.events.map(({ seq }) => seq), Array.from({ length: 103 }, (_, i) => i + 1))
  })

  await t.test('tenants and jobs do not mix', async t => {
    const { transport, engine } = await build(t)
    for (const tenant of ['acme', 'other']) {
      for (const job of ['a', 'b:log']) await transport.send({ type: 'job.register', tenant, job, data: { title: `${tenant} ${job}` } })
    }
    for (const tenant of ['acme', 'other']) {
      for (const job of ['a', 'b:log']) {
        const read = await until(() => engine.readJob(tenant, job))
        t.equal(read.registration.title, `${tenant} ${job}`)
      }
    }
  })

  await t.test('an event that cannot be is refused where it was called', async t => {
    const { transport, engine } = await build(t)
    await t.rejects(transport.send({ type: 'job.register', tenant: 'acme', job: 'not an id', data: {} }), { code: 'invalid_field' })
    await t.rejects(transport.send({ type: 'job.progress', tenant: 'acme', job: 'j', data: { items_completed: -1 } }), { code: 'invalid_field' })
    const deep = JSON.parse('['.repeat(40) + ']'.repeat(40))
    await t.rejects(transport.send({ type: 'item.update', tenant: 'acme', job: 'j', data: { id: 'i', result: deep } }), { code: 'too_deep' })
    await transport.send({ type: 'job.register', tenant: 'acme', job: 'j', data: {} })
    t.ok(await until(() => engine.readJob('acme', 'j')), 'what comes after is unharmed')
  })

  await t.test('control: what a user wants, until it is acknowledged', async t => {
    const { transport, engine } = await build(t)
    t.same(await transport.control('acme', 'j'), { state: null, request_id: null })
    await transport.send({ type: 'job.register', tenant: 'acme', job: 'j', data: { state: 'running' } })
    await until(async () => (await transport.control('acme', 'j')).state === 'running')
    await engine.submit({ type: 'job.control', tenant: 'acme', job: 'j', data: { action: 'pause' } }, { request_id: 'req_1' })
    t.same(await transport.control('acme', 'j'), { state: 'pausing', request_id: 'req_1' })
    await transport.send({ type: 'job.heartbeat', tenant: 'acme', job: 'j', data: { ack: 'another' } })
    await transport.send({ type: 'job.heartbeat', tenant: 'acme', job: 'j', data: { ack: 'req_1' } })
    await until(async () => (await transport.control('acme', 'j')).request_id === null)
  })

  await t.test('watch: a job that is not there yet, then every change, whoever makes it, with the request of a user', async t => {
    const { transport, engine } = await build(t)
    const { watch, news, changes, view } = watched(transport, 'j')
    await watch.ready
    t.same(news.map(({ view, changes }) => ({ view, changes })), [{ view: null, changes: [] }])
    void transport.send({ type: 'job.register', tenant: 'acme', job: 'j', data: { items_total: 2, title: 'A job' } })
    void transport.send({ type: 'job.state', tenant: 'acme', job: 'j', data: { state: 'running', reason: 'assigned' } })
    await until(() => changes().length === 1)
    await engine.submit({ type: 'job.control', tenant: 'acme', job: 'j', data: { action: 'pause', reason: 'lunch' } }, { request_id: 'req_1' })
    await until(() => view()?.control.request_id === 'req_1')
    t.match(view(), { state: 'pausing', reason: 'lunch', title: 'A job', control: { action: 'pause', acknowledged: false } })
    await transport.send({ type: 'job.heartbeat', tenant: 'acme', job: 'j', data: { ack: 'req_1' } })
    await transport.send({ type: 'item.update', tenant: 'acme', job: 'j', data: { id: 'a', state: 'completed' } })
    await transport.send({ type: 'job.state', tenant: 'acme', job: 'j', data: { state: 'paused' } })
    await engine.submit({ type: 'job.control', tenant: 'acme', job: 'j', data: { action: 'resume' } })
    await transport.send({ type: 'job.state', tenant: 'acme', job: 'j', data: { state: 'rate_limited' } })
    await until(() => view()?.rate_limited)
    await transport.send({ type: 'job.state', tenant: 'acme', job: 'j', data: { state: 'failed', reason: 'over' } })
    await until(() => view()?.state === 'failed' && view()?.items_completed === 1)
    t.same(changes(), ['pending>running assigned', 'running>pausing lunch', 'pausing>paused', 'paused>running', 'running>failed over'])
  })

  await t.test('watch: what changes with the call is told, what is old is not', async t => {
    const { transport, engine } = await build(t)
    await transport.send({ type: 'job.register', tenant: 'acme', job: 'j', data: { state: 'running' } })
    await transport.send({ type: 'job.state', tenant: 'acme', job: 'j', data: { state: 'pausing', reason: 'old' } })
    const { job } = await until(async () => {
      const read = await engine.readJob('acme', 'j')
      return read?.job.state === 'pausing' ? read : null
    })
    await until(() => Date.now() - job.updated_at > 50) // the clock's resolution, and an answer's way
    const { changes } = watched(transport, 'j')
    await transport.send({ type: 'job.state', tenant: 'acme', job: 'j', data: { state: 'running', resume: true, reason: 'new' } })
    await transport.send({ type: 'job.state', tenant: 'acme', job: 'j', data: { state: 'completing', reason: 'newer' } })
    await until(() => changes().length >= 2)
    t.same(changes(), ['pausing>running new', 'running>completing newer'])
  })

  await t.test('watch: connections break all the time, and every change comes once and in order', async t => {
    const { transport, engine, interrupt } = await build(t)
    await transport.send({ type: 'job.register', tenant: 'acme', job: 'j', data: { state: 'running' } })
    const { watch, changes, view } = watched(transport, 'j')
    await watch.ready
    const wanted: string[] = []
    for (let n = 0; n < 12; n++) {
      const [state, prior] = n % 2 === 0 ? ['pausing', 'running'] as const : ['running', 'pausing'] as const
      wanted.push(`${prior}>${state} ${n}`)
      await engine.submit({ type: 'job.state', tenant: 'acme', job: 'j', data: { state, reason: String(n), resume: true } })
      if (n % 3 === 0) await interrupt()
    }
    await until(() => changes().length >= 12)
    await engine.submit({ type: 'job.state', tenant: 'acme', job: 'j', data: { state: 'completed' } })
    await until(() => view()?.state === 'completed')
    t.same(changes(), [...wanted, 'running>completed'])
  })

  await t.test('watch: closed, it tells nothing more', async t => {
    const { transport } = await build(t)
    const [one, other] = [watched(transport, 'j'), watched(transport, 'j')]
    await transport.send({ type: 'job.register', tenant: 'acme', job: 'j', data: { state: 'running' } })
    await until(() => one.view() !== null && other.view() !== null)
    const heard = one.news.length
    one.watch.close()
    one.watch.close()
    await transport.send({ type: 'job.state', tenant: 'acme', job: 'j', data: { state: 'completed' } })
    await until(() => other.view()?.state === 'completed')
    t.equal(one.news.length, heard)
  })

  await t.test('flush is the promise of everything before it', async t => {
    const { transport, engine } = await build(t)
    void transport.send({ type: 'job.register', tenant: 'acme', job: 'j', data: {} })
    void transport.send({ type: 'job.register', tenant: 'acme', job: 'k', data: {} })
    await transport.flush()
    for (const job of ['j', 'k']) t.ok(await until(() => engine.readJob('acme', job)))
  })

  await t.test('close gives up what is not stored and says so; afterwards nothing is taken', async t => {
    const { transport, cut } = await build(t)
    await transport.send({ type: 'job.register', tenant: 'acme', job: 'j', data: {} })
    await cut()
    const lost = transport.send({ type: 'job.state', tenant: 'acme', job: 'j', data: { state: 'running' } })
    await transport.close()
    await transport.close()
    await t.rejects(lost, { code: 'closed' })
    await t.rejects(transport.send({ type: 'job.state', tenant: 'acme', job: 'j', data: { state: 'running' } }), { code: 'closed' })
  })
}
