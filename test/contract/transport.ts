// What every transport of the worker SDK keeps, whichever way it takes. Called by a test of each implementation.

import type { Test } from 'tap'
import type { Engine } from '../../src/engine/engine.ts'
import type { Transport } from '../../src/worker/transport.ts'
import { until } from '../support/wait.ts'

export interface TransportSetup {
  transport: Transport
  /** A running engine of the same deployment: what arrived is looked up here. */
  engine: Engine
  /** From here on nothing that the transport sends is stored. */
  cut (): Promise<void>
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
