// A job that has left Redis reads as it did there, from the database, and says so.

import t from 'tap'
import { item, runJob } from '../persister/support.ts'
import { until } from '../support/wait.ts'
import { readerOf, startHouse } from './support.ts'

const house = await startHouse(t)
const token = await readerOf('acme')

/** All pages of a list. */
async function all (read: (cursor: string) => Promise<{ body: Record<string, unknown> }>): Promise<Record<string, unknown>[]> {
  const rows: Record<string, unknown>[] = []
  for (let cursor: unknown = ''; cursor !== null;) {
    const { body } = await read(cursor === '' ? '' : `&cursor=${encodeURIComponent(String(cursor))}`)
    rows.push(...body['data'] as Record<string, unknown>[])
    cursor = body['next_cursor']
  }
  return rows
}

t.test('job, items and timeline are the same before and after, but for the mark', async t => {
  const { engine, get, persist, gone } = await house.gateway(t)
  await engine.append([{ type: 'job.register', tenant: 'acme', job: 'same', data: { items_total: 4, state: 'running', title: 'Ünï "q"', metadata: { a: [1, null] }, item_kind: 'file' } }])
  await runJob(engine, 'other', 1)
  await engine.append([
    item('same', 'one', 'processing', 'acme', { row_index: 1 }), item('same', 'two', 'processing', 'acme', { worker: 'w1', weight: 2, row_index: 2 }),
    item('same', 'one', 'completed', 'acme', { result: { out: 'x' } }), item('same', 'two', 'failed', 'acme', { error: 'no disk' }),
    item('same', 'three', 'processing')
  ])
  await engine.append([{ type: 'job.state', tenant: 'acme', job: 'same', data: { state: 'failed', reason: 'disk_full' } }])
  await until(async () => (await get('/v1/jobs/same', token)).body['state'] === 'failed')
  const paths = ['/v1/jobs/same', '/v1/jobs/same/items', '/v1/jobs/same/items?state=failed', '/v1/jobs/same/timeline', '/v1/jobs/same/timeline?limit=3']
  const live = await Promise.all(paths.map(path => get(path, token)))
  await persist()
  await gone('same')
  const archived = await Promise.all(paths.map(path => get(path, token)))
  t.ok(archived.every(({ body }) => body['archived'] === true))
  const [job, items, failed, timeline, page] = archived.map(({ status, body: { archived: _, ...body } }) => ({ status, body }))
  t.strictSame(job?.body, live[0]?.body)
  const settled = (live[1]?.body['data'] as { id: string, state: string }[]).filter(({ state }) => state !== 'processing')
  t.strictSame(items?.body, { data: settled, next_cursor: null }, 'items that never settled are only counted')
  t.strictSame(failed?.body, live[2]?.body)
  t.strictSame(timeline?.body, live[3]?.body)
  t.strictSame(page?.body, live[4]?.body, 'a page as well, and its cursor')
  t.strictSame((await get(`/v1/jobs/same/timeline?limit=500&cursor=${String(live[4]?.body['next_cursor'])}`, token)).body['data'],
    (live[3]?.body['data'] as object[]).slice(3), 'a timeline begun in Redis goes on in the archive')
})

t.test('items by pages, with and without a filter; on a canceled job what was open is canceled', async t => {
  const { engine, get, persist, gone } = await house.gateway(t)
  await engine.append([{ type: 'job.register', tenant: 'acme', job: 'pages', data: { items_total: 12, state: 'running' } }])
  for (let n = 0; n < 10; n++) await engine.append([item('pages', `i${9 - n}`, n % 3 === 0 ? 'failed' : 'completed', 'acme', { row_index: n })])
  await engine.append([item('pages', 'retried', 'failed', 'acme', { retryable: true }), item('pages', 'retried', 'processing')])
  await engine.append([{ type: 'job.state', tenant: 'acme', job: 'pages', data: { state: 'canceling' } }])
  await engine.append([{ type: 'job.state', tenant: 'acme', job: 'pages', data: { state: 'canceled' } }])
  await persist()
  await gone('pages')
  const ids = async (query: string) => (await all(cursor => get(`/v1/jobs/pages/items?limit=3${query}${cursor}`, token))).map(({ id }) => id)
  t.same(await ids(''), [...Array.from({ length: 10 }, (_, n) => `i${9 - n}`), 'retried'], 'as they were first seen')
  t.same(await ids('&state=failed'), ['i9', 'i6', 'i3', 'i0'])
  t.same(await ids('&state=canceled'), ['retried'])
  t.same(await ids('&state=processing'), [])
  t.match(await get('/v1/jobs/pages/items?state=failed&cursor=3', token), { status: 400, body: { code: 'invalid_cursor', detail: /begin again/ } })
  t.match(await get('/v1/jobs/pages/items?cursor=a3', token), { status: 400, body: { code: 'invalid_cursor' } })
})

t.test('a run of several epochs is told as a whole; what is missing is told too', async t => {
  const { engine, get, persist, gone } = await house.gateway(t)
  await runJob(engine, 'epochs', 2)
  await persist()
  await gone('epochs')
  const { postgres } = house
  const before = await all(cursor => get(`/v1/jobs/epochs/timeline?limit=4${cursor}`, token))
  t.equal(before.length, 7)
  await postgres.query("update job_events set epoch = epoch + 1000, seq = seq - 2 where job_id = 'epochs' and seq > 4")
  await postgres.query("update bulk_jobs set epoch = epoch + 1000, seq = seq - 2 where id = 'epochs'")
  // Another gateway: this one remembers for a moment.
  const other = await house.gateway(t)
  const after = await all(cursor => other.get(`/v1/jobs/epochs/timeline?limit=3${cursor}`, token))
  t.same(after.map(({ type, correlation_id }) => [type, correlation_id]), before.map(({ type, correlation_id }) => [type, correlation_id]))
  t.match((await other.get('/v1/jobs/epochs/timeline', token)).body, { truncated: false })
  await postgres.query("delete from job_events where job_id = 'epochs' and seq < 3")
  const third = await house.gateway(t)
  t.match((await third.get('/v1/jobs/epochs/timeline', token)).body, { truncated: true, archived: true })
  t.match((await third.get('/v1/jobs/epochs/timeline?cursor=5.5', token)).body, { truncated: true }, 'a position of an older run')
})

t.test('what has not ended belongs to Redis', async t => {
  const { get } = await house.gateway(t)
  const rows = "('acme', 'lost', 1764200000000, 1764200000000, 'running', null), ('acme', 'asked', 0, 0, 'pending', null)"
  await house.postgres.query(`insert into bulk_jobs (tenant_id, id, run, epoch, state, ended_at) values ${rows}`)
  t.match(await get('/v1/jobs/lost', token), { status: 503, body: { code: 'redis_unavailable', detail: /put it back/ } })
  t.match(await get('/v1/jobs/asked', token), { status: 404, body: { code: 'unknown_job' } }, 'an app asked for it, and Headway has not seen it')
  t.match(await get('/v1/jobs/never', token), { status: 404, body: { code: 'unknown_job' } })
})

t.test('the list goes on into the archive, newest first, each job once, while jobs leave Redis', async t => {
  await house.postgres.query('truncate bulk_jobs')
  const { engine, get, persist, gone } = await house.gateway(t)
  for (let n = 0; n < 12; n++) {
    const data = { items_total: 1, state: 'running' as const }
    await engine.append([{ type: 'job.register', tenant: 'acme', job: `j${n}`, data }])
    await until(async () => await engine.readJob('acme', `j${n}`))
  }
  const end = async (...ids: number[]) => {
    await engine.append(ids.map(n => ({ type: 'job.state', tenant: 'acme', job: `j${n}`, data: { state: n % 2 === 0 ? 'completed' : 'failed' } })))
    for (const n of ids) await gone(`j${n}`)
  }
  await persist()
  await end(0, 3, 4, 5, 8, 11)
  const names = (rows: Record<string, unknown>[]) => rows.map(({ id, archived }) => `${String(id)}${archived === true ? '*' : ''}`).join(' ')
  const pages = async (query: string, between = async () => {}) => names(await all(async cursor => {
    const page = await get(`/v1/jobs?${query}${cursor}`, token)
    await between()
    return page
  }))
  t.equal(await pages('limit=2'), 'j10 j9 j7 j6 j2 j1', 'without the parameter: Redis')
  t.equal(await pages('limit=5&archived=true'), 'j11* j10 j9 j8* j7 j6 j5* j4* j3* j2 j1 j0*')
  t.equal(await pages('limit=1&archived=true&state=failed'), 'j11* j5* j3*')
  t.equal(await pages('limit=50&archived=true&state=running'), 'j10 j9 j7 j6 j2 j1')
  const leaving = [10, 6, 2, 1]
  t.equal(await pages('limit=2&archived=true', async () => {
    const next = leaving.shift()
    if (next !== undefined) await end(next)
  }), 'j11* j10 j9 j8* j7 j6* j5* j4* j3* j2* j1* j0*', 'told where they stood, neither twice nor never')
})
