// How many jobs a worker watches, who leaves when there are more, and how long ended ones stay.

import t from 'tap'
import { NO_LOG } from '../../src/engine/connections.ts'
import { jobView } from '../../src/protocol/view.ts'
import type { JobView } from '../../src/worker/index.ts'
import { Live } from '../../src/worker/live.ts'
import type { JobNews, Transport } from '../../src/worker/transport.ts'
import { sampleJob, sampleRegistration } from '../protocol/samples.ts'
import { until } from '../support/wait.ts'

/** A marked stand-in: a way that tells what the test says. */
function live (watchesMax: number, options: { heartbeat_ms?: number, ended_ms?: number } = {}) {
  const told = new Map<string, (news: JobNews) => void>()
  const warnings: string[] = []
  const transport: Transport = {
    send: async () => {},
    control: async () => ({ state: null, request_id: null }),
    watch (_, job, tell) {
      told.set(job, tell)
      return { ready: Promise.resolve(), close () { told.delete(job) } }
    },
    watches_max: watchesMax,
    flush: async () => {},
    close: async () => {}
  }
  const made = new Live({
    transport,
    tenant: 'acme',
    worker: null,
    heartbeat_ms: 0,
    log: { ...NO_LOG, warn: (_, message) => { warnings.push(message) } },
    ...options
  })
  return {
    live: made,
    warnings,
    watched: () => [...told.keys()].sort(),
    tell (id: string, state: JobView['state']): void {
      told.get(id)!({ view: () => jobView(sampleJob({ id, state }), sampleRegistration(), 0), changes: [], gone: false })
    },
    name: (id: string) => made.said({ type: 'job.progress', tenant: 'acme', job: id, data: {} }, Promise.resolve())
  }
}

t.test('beyond the bound an ended job leaves first, then the one named longest ago, with a warning', async t => {
  const { live: one, name, tell, watched, warnings } = live(3)
  await one.start()
  for (const id of ['a', 'b', 'c']) name(id)
  tell('b', 'completed')
  name('d')
  t.same(watched(), ['a', 'c', 'd'])
  t.same(warnings, [], 'an ended job is no loss')
  name('a')
  name('e')
  t.same(watched(), ['a', 'd', 'e'], 'c was named longest ago')
  t.match(warnings, [/^job c is not watched any more: a worker watches at most 3 jobs$/])
  one.close()
  t.same(watched(), [])
})

t.test('jobs in hand stay; when all are, there is no room', async t => {
  const { live: one, name, watched, warnings } = live(2)
  await one.start()
  const [a, b] = [one.job('a'), one.job('b')]
  t.ok(a.signal && b.signal)
  name('c')
  t.same(watched(), ['a', 'b'])
  t.match(warnings, [/^job c is not watched/])
  t.throws(() => one.job('c'), { code: 'overloaded', message: /release\(\)/ })
  t.equal(one.isRateLimited('c'), false)
  a.release()
  t.equal(one.job('c').id, 'c')
  t.same(watched(), ['b', 'c'])
  await t.rejects(a.waitWhilePaused(), { code: 'closed', message: /ask for it again/ })
  one.close()
})

t.test('an ended job leaves the view after a while', async t => {
  const { live: one, name, tell, watched } = live(10, { heartbeat_ms: 5, ended_ms: 20 })
  await one.start()
  for (const id of ['ends', 'runs']) name(id)
  tell('ends', 'running')
  tell('runs', 'running')
  t.same(Object.keys(one.status()), ['ends', 'runs'])
  tell('ends', 'canceled')
  await until(() => !('ends' in one.status()))
  t.same(watched(), ['runs'])
  one.close()
})

t.test('who held an ended job knows its end; a new run of its id is another', async t => {
  const { live: one, tell } = live(10)
  void one.start()
  const old = one.job('job')
  const { signal } = old
  tell('job', 'running')
  tell('job', 'canceled')
  t.ok(signal.aborted)
  await t.rejects(old.waitWhilePaused(), { name: 'AbortError' })
  tell('job', 'running')
  t.not(one.job('job'), old)
  t.notOk(one.job('job').signal.aborted)
  t.equal(one.job('job').state, 'running')
  one.close()
})
