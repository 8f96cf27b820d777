// All jobs of a tenant: the fold of its stream, the one subscription that handles share, and the same against a real gateway.

import t from 'tap'
import { NO_LOG } from '../../src/engine/connections.ts'
import { createClient } from '../../src/client/index.ts'
import { applyTenantMessage, EMPTY_TENANT, JOBS_MAX } from '../../src/client/tenant-view.ts'
import type { TenantView } from '../../src/client/tenant-view.ts'
import type { JobView } from '../../src/protocol/messages.ts'
import type { TenantMessage } from '../../src/protocol/tenant-messages.ts'
import { ProgressMonitor } from '../../src/worker/index.ts'
import { privateRedis, startGateway, tokenOf } from '../gateway/support.ts'
import { until } from '../support/wait.ts'
import { job, TS, turn } from './fakes.ts'
import { setup } from './support.ts'

const minute = (n: number): string => `2026-11-23T12:${String(n).padStart(2, '0')}:00.000Z`
const list = (...jobs: JobView[]): TenantMessage => ({ type: 'tenant.snapshot', ts: TS, data: { jobs, reset: false } })
const changed = (view: JobView): TenantMessage =>
  ({ type: 'tenant.job_changed', ts: TS, job_id: view.id, seq: view.seq, rev: view.rev, data: { job: view } })
const removed = (id: string, epoch: number): TenantMessage => ({ type: 'tenant.job_removed', ts: TS, job_id: id, data: { epoch } })
const play = (...messages: TenantMessage[]): TenantView => messages.reduce(applyTenantMessage, EMPTY_TENANT)
const ids = ({ jobs }: TenantView): string[] => jobs.map(({ id }) => id)

t.test('the newer state of a job counts, whenever it comes', async t => {
  const old = job({ id: 'a', rev: 4 })
  t.match(play(list(old), changed(job({ id: 'a', rev: 6, state: 'paused' })), changed(job({ id: 'a', rev: 5 }))).jobs, [{ rev: 6, state: 'paused' }])
  t.match(play(list(old), changed(job({ id: 'a', epoch: 2000, rev: 1 }))).jobs, [{ epoch: 2000, rev: 1 }], 'a later epoch is newer')
  t.match(play(list(old), changed(job({ id: 'a', epoch: 999, rev: 9 }))).jobs, [{ epoch: 1000, rev: 4 }])
  const view = play(list(old))
  t.equal(applyTenantMessage(view, changed(old)), view, 'a repeat changes nothing, not even the object')
})

t.test('the newest registration stands first, wherever a job comes from', async t => {
  const view = play(list(job({ id: 'c', created_at: minute(3) }), job({ id: 'a', created_at: minute(1) })),
    changed(job({ id: 'd', created_at: minute(4) })), changed(job({ id: 'b', created_at: minute(2) })), changed(job({ id: '0', created_at: minute(0) })))
  t.same(ids(view), ['d', 'c', 'b', 'a', '0'])
  t.same(ids(applyTenantMessage(view, changed(job({ id: 'a', epoch: 2000, created_at: minute(9) })))), ['a', 'd', 'c', 'b', '0'], 'registered anew')
})

t.test('a removal is about the registration it names', async t => {
  t.same(ids(play(list(job({ id: 'a' })), removed('a', 1000))), [])
  t.same(ids(play(list(job({ id: 'a', epoch: 2000 })), removed('a', 1000))), ['a'])
  const view = play(list(job({ id: 'a' })))
  t.equal(applyTenantMessage(view, removed('b', 1000)), view)
  t.same(ids(play(list(job({ id: 'a' }), job({ id: 'b' })), list(job({ id: 'b' })))), ['b'], 'a new list replaces the old one')
})

t.test('the list is bounded: the oldest make room', async t => {
  const many = Array.from({ length: JOBS_MAX }, (_, n) => job({ id: `j${n}`, created_at: minute(1) }))
  const view = play(list(...many), changed(job({ id: 'new', created_at: minute(2) })))
  t.equal(view.jobs.length, JOBS_MAX)
  t.equal(view.jobs[0]?.id, 'new')
})

t.test('handles share one subscription; the last one ends it', async t => {
  const { client, socket, clock } = setup()
  const first = client.watchTenant()
  const second = client.watchTenant()
  t.match(first.getSnapshot(), { connection: 'connecting', loaded: false, jobs: [] })
  await turn()
  socket().open()
  t.equal(socket().sent.filter(({ action }) => action === 'subscribe_tenant').length, 1)
  let calls = 0
  first.subscribe(() => { calls++ })
  socket().says(changed(job({ id: 'early' })))
  t.equal(calls, 0, 'what comes before the list belongs to an older subscription')
  socket().says({ type: 'ack', id: socket().last('subscribe_tenant')!.id, action: 'subscribe_tenant' }, list(job({ id: 'a' })))
  t.match(second.getSnapshot(), { connection: 'live', loaded: true, jobs: [{ id: 'a' }] })
  t.equal(calls, 1)
  first.close()
  socket().says(changed(job({ id: 'a', rev: 2 })))
  t.equal(calls, 1, 'closed')
  t.match(first.getSnapshot(), { connection: 'closed', jobs: [{ rev: 1 }] })
  t.match(second.getSnapshot(), { jobs: [{ rev: 2 }] })
  second.close()
  second.close()
  t.ok(socket().last('unsubscribe_tenant'))
  t.match(client.watchTenant().getSnapshot(), { connection: 'connecting', jobs: [] }, 'watching again begins anew')
  await clock.pass(1000)
  t.equal(socket().closed, false)
})

t.test('a cut line keeps what was seen until the list comes again; a temporary refusal is asked again', async t => {
  const { client, made, socket, clock } = setup()
  const watch = client.watchTenant()
  await turn()
  socket().open()
  socket().says(list(job({ id: 'a' })))
  socket().end(1006)
  t.match(watch.getSnapshot(), { connection: 'reconnecting', jobs: [{ id: 'a' }] })
  await turn()
  await clock.pass(125)
  t.equal(made.length, 2)
  socket().open()
  socket().says({ type: 'error', id: socket().last('subscribe_tenant')!.id, code: 'redis_unavailable', detail: 'later' })
  const asked = (): number => socket().sent.filter(({ action }) => action === 'subscribe_tenant').length
  t.equal(asked(), 1)
  await clock.pass(250)
  t.equal(asked(), 2)
  socket().says(list(job({ id: 'b' })))
  t.match(watch.getSnapshot(), { connection: 'live', jobs: [{ id: 'b' }] })
  socket().says({ type: 'error', id: null, code: 'forbidden', detail: 'not you' })
  t.match(watch.getSnapshot(), { connection: 'stopped', error: { code: 'forbidden' } })
})

t.test('a refused socket asks for the list by HTTP and says why', async t => {
  const { client, socket, asked, world } = setup()
  world.answer = { status: 401, body: { code: 'token_expired', detail: 'expired' } }
  const watch = client.watchTenant()
  await turn()
  socket().end(1006)
  await turn()
  t.match(asked.at(-1)?.url, /\/v1\/jobs\?limit=1$/)
  t.match(watch.getSnapshot(), { connection: 'stopped', error: { code: 'token_expired' } })
})

t.test('a real tenant: jobs appear, change and are nobody else\'s', async t => {
  const redis = await privateRedis(t)
  const { url, engine } = await startGateway(t, redis)
  const worker = (tenantId: string) => new ProgressMonitor({ redisUrl: redis.url, prefix: engine.keys.prefix, tenantId, log: NO_LOG })
  const [mine, theirs] = [worker('acme'), worker('other')]
  const client = createClient({ url, getToken: () => tokenOf() })
  t.teardown(async () => {
    client.close()
    await Promise.all([mine.close(), theirs.close()])
  })
  const watch = client.watchTenant()
  await until(() => watch.getSnapshot().loaded)
  await theirs.registerJob('job_1', { title: 'theirs', state: 'running' })
  await mine.registerJob('job_1', { title: 'mine', items_total: 2, state: 'running', auto_complete: true })
  await until(() => watch.getSnapshot().jobs.length === 1)
  for (const id of ['a', 'b']) await mine.updateItemProgress('job_1', { id, state: 'completed' })
  await until(() => watch.getSnapshot().jobs[0]?.state === 'completed')
  t.match(watch.getSnapshot().jobs, [{ id: 'job_1', title: 'mine', tenant_id: 'acme', percent_complete: 100 }])
})
