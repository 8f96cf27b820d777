// What gateways hear and list, on each topology: channels, a subscriber connection that is cut, pages of jobs.

import t from 'tap'
import { createEngine } from '../../src/engine/engine.ts'
import type { FeedMessage } from '../../src/engine/engine.ts'
import type { WorkerEvent } from '../../src/protocol/worker-events.ts'
import { onEachTopology, randomPrefix } from '../support/topology.ts'
import { until } from '../support/wait.ts'

const JOBS = 25

function register (job: string, tenant = 'acme'): WorkerEvent {
  return { type: 'job.register', tenant, job, data: { items_total: 1, state: 'running' } }
}

t.test('feed and lists', async (t) => {
  await onEachTopology(t, async (t, topology) => {
    const prefix = randomPrefix()
    const speaking = createEngine({ redis_url: topology.url, prefix, partitions: 16 })
    const hearing = createEngine({ redis_url: topology.url, prefix, partitions: 16 })
    t.teardown(() => Promise.all([speaking.stop(), hearing.stop()]))
    await speaking.start()
    await hearing.start({ drain: false })

    await t.test('another process hears each job that it watches, and no other', async (t) => {
      const heard = new Map<string, FeedMessage[]>()
      const leave: (() => void)[] = []
      for (let n = 0; n < JOBS; n++) {
        leave.push(await hearing.subscribe('acme', `job_${n}`, (message) => {
          heard.set(message.job_id, [...heard.get(message.job_id) ?? [], message])
        }))
      }
      for (let n = 0; n < JOBS; n++) t.match(await speaking.submit(register(`job_${n}`)), { outcome: 'ok', effect: 'applied' })
      await speaking.submit(register('job_0', 'other'))
      await speaking.append(Array.from({ length: JOBS }, (_, n) => ({
        type: 'item.update', tenant: 'acme', job: `job_${n}`, data: { id: 'only', state: 'completed', title: `Tab\tand 🎬 ${n}` }
      })))
      await until(() => [...heard.values()].filter((list) => list.some((one) => one.type === 'update' && one.seq_to === 1)).length === JOBS)
      for (const [id, messages] of heard) {
        t.ok(messages.every(({ tenant_id, job_id }) => tenant_id === 'acme' && job_id === id))
        const last = messages.at(-1)
        t.ok(last?.type === 'update' && last.events.at(-1)?.event === 'item', `${id} heard its item`)
      }
      for (const one of leave) one()
    })

    await t.test('a subscriber connection that is cut comes back, says so, and hears again', async (t) => {
      let interruptions = 0
      const heard: FeedMessage[] = []
      const forget = hearing.onInterrupted(() => { interruptions++ })
      const leave = await hearing.subscribe('acme', 'job_1', (message) => heard.push(message))
      const nodes = topology.cluster === null ? [topology.redis] : topology.cluster.primaries.map((node) => node.redis)
      for (const node of nodes) await (node as unknown as { client (...args: string[]): Promise<unknown> }).client('KILL', 'TYPE', 'pubsub')
      await until(() => interruptions > 0)
      let n = 0
      await until(async () => {
        await speaking.submit({ type: 'job.state', tenant: 'acme', job: 'job_1', data: { state: 'rate_limited', retry_at: Date.now() + 60_000 + n++ } })
        return heard.length > 0
      })
      t.match(heard[0], { type: 'update', job_id: 'job_1' })
      forget()
      leave()
    })

    await t.test('a tenant lists its jobs, newest first, in pages that are stable, by state too', async (t) => {
      const all = await speaking.listJobs('acme', { limit: 500 })
      t.equal(all.jobs.length, JOBS)
      t.equal(all.next_cursor, null)
      const epochs = all.jobs.map(({ job }) => job.registered_epoch)
      t.same(epochs, [...epochs].sort((a, b) => b - a))
      const paged: string[] = []
      for (let cursor: string | null = ''; cursor !== null;) {
        const page = await speaking.listJobs('acme', { limit: 7, ...(cursor === '' ? {} : { cursor }) })
        paged.push(...page.jobs.map(({ job }) => job.id))
        cursor = page.next_cursor
      }
      t.same(paged, all.jobs.map(({ job }) => job.id))
      await speaking.submit({ type: 'job.state', tenant: 'acme', job: 'job_7', data: { state: 'failed', reason: 'for the list' } })
      t.same((await speaking.listJobs('acme', { limit: 5, state: 'failed' })).jobs.map(({ job }) => job.id), ['job_7'])
      t.same((await speaking.listJobs('other', { limit: 5 })).jobs.map(({ job }) => job.id), ['job_0'])
      t.same((await speaking.listJobs('acm', { limit: 5 })).jobs, [], 'a tenant whose name begins like another')
      await t.rejects(speaking.listJobs('acme', { limit: 5, cursor: 'x' }), { code: 'invalid_field' })
    })
  })
})
