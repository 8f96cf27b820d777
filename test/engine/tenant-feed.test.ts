// The channels of a tenant, on each topology: every job of it wherever it lives, nothing of others, in order, until left.

import t from 'tap'
import { createEngine } from '../../src/engine/engine.ts'
import type { TenantChange } from '../../src/engine/engine.ts'
import { onEachTopology, randomPrefix } from '../support/topology.ts'
import { until } from '../support/wait.ts'

const JOBS = 25

type Data = { items_total: number } | { state: 'running' | 'failed', reason?: string }

t.test('a tenant', async (t) => {
  await onEachTopology(t, async (t, topology) => {
    const options = { redis_url: topology.url, prefix: randomPrefix(), partitions: 16 }
    const speaking = createEngine({ ...options, settings: { retention_ms: 300 } })
    const hearing = createEngine(options)
    t.teardown(() => Promise.all([speaking.stop(), hearing.stop()]))
    await speaking.start()
    await hearing.start({ drain: false })
    t.equal(hearing.hearing(), true, 'known once started')

    const heard: TenantChange[] = []
    const also: TenantChange[] = []
    const leave = await hearing.subscribeTenant('acme', (change) => heard.push(change))
    const leaveToo = await hearing.subscribeTenant('acme', (change) => also.push(change))
    const submit = async (tenant: string, job: string, data: Data): Promise<void> => {
      await speaking.submit('state' in data ? { type: 'job.state', tenant, job, data } : { type: 'job.register', tenant, job, data })
    }
    await submit('acm', 'job_0', { items_total: 9 })
    for (let n = 0; n < JOBS; n++) await submit('acme', `job_${n}`, { items_total: 1 })
    for (let n = 0; n < JOBS; n++) await submit('acme', `job_${n}`, { state: 'running' })
    await until(() => heard.length >= JOBS * 2)
    for (let n = 0; n < JOBS; n++) {
      const states = heard.flatMap((change) => change.type === 'job' && change.job.id === `job_${n}` ? [change.job] : [])
      t.same(states.map(({ state, rev }) => [state, rev]), [['pending', 1], ['running', 2]], `job_${n}`)
    }
    const read = await speaking.readJob('acme', 'job_3')
    const last = heard.findLast((change) => change.type === 'job' && change.job.id === 'job_3')
    t.same(last, { type: 'job', job: read?.job }, 'the header as it is read')
    t.same(also, heard, 'each listener hears the same')

    await submit('acme', 'job_7', { state: 'failed', reason: 'for the test' })
    const removed = await until(() => heard.find((change) => change.type === 'removed'), { what: 'the ended job leaves' })
    const final = heard.findLast((change) => change.type === 'job' && change.job.id === 'job_7')
    t.match(final, { type: 'job', job: { state: 'failed', rev: 3 } })
    if (final?.type === 'job') t.same(removed, { type: 'removed', job_id: 'job_7', epoch: final.job.epoch, rev: 3 })

    leaveToo()
    const before = also.length
    await submit('acme', 'after', { items_total: 1 })
    await until(() => heard.some((change) => change.type === 'job' && change.job.id === 'after'))
    t.equal(also.length, before)
    leave()
    const again: TenantChange[] = []
    const leaveAgain = await hearing.subscribeTenant('acme', (change) => again.push(change))
    const count = heard.length
    await submit('acme', 'again', { items_total: 1 })
    await until(() => again.length > 0)
    t.equal(heard.length, count, 'left and joined at once: the order of commands is kept')
    leaveAgain()
  })
})
