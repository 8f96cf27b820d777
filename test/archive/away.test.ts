// The database away, slow, or not what it should be: a clear 503 for what only it knows, and nothing else is touched. The same read
// is made once, and not too many at once.

import t from 'tap'
import { runJob } from '../persister/support.ts'
import type { RestFault } from '../support/rest.ts'
import { until } from '../support/wait.ts'
import { Client } from '../gateway/support.ts'
import { readerOf, sessionOf, startHouse } from './support.ts'

const house = await startHouse(t)
const { rest } = house
const token = await readerOf('acme')

const first = await house.gateway(t)
await runJob(first.engine, 'old', 1)
await first.persist()
await first.gone('old')
await first.rest() // or its own looks at the database count too

t.test('every way to be away is a 503 with a time to come back', async t => {
  const { engine, get, url, internal_url: internal, logged } = await house.gateway(t, { HEADWAY_ARCHIVE_TIMEOUT_MS: '150' })
  await engine.append([{ type: 'job.register', tenant: 'acme', job: 'live', data: { items_total: 1, state: 'running' } }])
  await until(async () => (await get('/v1/jobs/live', token)).status === 200)
  const faults: RestFault[] = [
    'reset', 'hang', 'empty',
    { status: 503, body: '{"code":"PGRST002","message":"schema cache"}' },
    { status: 500, body: '{"code":"57014","message":"statement timeout"}' },
    { status: 502, body: '<html>bad gateway</html>', type: 'text/html' },
    { status: 200, body: '<html>a login page</html>', type: 'text/html' },
    { status: 200, body: '{"rows":[]}' },
    { status: 401, body: '{"message":"Invalid API key"}' },
    { status: 403, body: '{"code":"42501","message":"permission denied for table bulk_jobs"}' },
    { status: 400, body: '{"code":"42703","message":"planted","details":"planted"}' }
  ]
  for (const fault of faults) {
    rest.fault = () => fault
    for (const path of ['/v1/jobs/old', '/v1/jobs/old/items', '/v1/jobs/old/timeline', '/v1/jobs?archived=true']) {
      const { status, headers, body } = await get(path, token)
      t.match({ status, code: body['code'] }, { status: 503, code: 'archive_unavailable' }, `${path} ${JSON.stringify(fault)}`)
      t.match(headers.get('retry-after'), /^\d+$/)
      t.match(headers.get('content-type'), 'application/problem+json')
    }
    t.match(await new Client(`${url}/v1/ws?job_id=old&token=${token}`).refused(), { status: 503, body: { code: 'archive_unavailable' } })
    t.equal((await fetch(`${url}/v1/jobs/old/events?token=${token}`)).status, 503)
    t.equal((await get('/v1/jobs/live', token)).status, 200, 'a live job is none of its business')
    t.equal((await get('/v1/jobs', token)).status, 200, 'nor is the list of live jobs')
  }
  const database = async (): Promise<string> => (await (await fetch(`${internal}/readyz`)).json() as { services: { database: string } }).services.database
  await until(async () => await database() === 'away', { what: 'readiness tells of it', timeout_ms: 20_000 })
  rest.fault = null
  t.equal((await get('/v1/jobs/old', token)).status, 200, 'a fault is not remembered')
  await until(async () => await database() === 'up', { what: 'and that it is back', timeout_ms: 20_000 })
  t.notMatch(logged.join(''), new RegExp(`planted|${rest.key}|${rest.publishable_key}`))
})

t.test('a session that the database finds expired is told so', async t => {
  const { get } = await house.gateway(t)
  rest.fault = () => ({ status: 401, body: '{"code":"PGRST301","message":"JWT expired"}' })
  t.match(await get('/v1/jobs/old', await sessionOf('acme')), { status: 401, body: { code: 'token_expired' } })
})

t.test('the same read is made once, whoever asks; a moment later it is still known', async t => {
  const { get } = await house.gateway(t)
  let asked = 0
  rest.fault = () => {
    asked++
    return null
  }
  const answers = await Promise.all(Array.from({ length: 40 }, () => get('/v1/jobs/old', token)))
  t.ok(answers.every(({ status }) => status === 200))
  t.equal(asked, 1)
  await get('/v1/jobs/old', token)
  t.equal(asked, 1)
})

t.test('beyond 64 different reads at once the next is refused', async t => {
  // Long enough for a slow machine to ask for all of them before the first is given up.
  const { get } = await house.gateway(t, { HEADWAY_ARCHIVE_TIMEOUT_MS: '6000' })
  let asked = 0
  rest.fault = () => {
    asked++
    return 'hang'
  }
  const waiting = Array.from({ length: 64 }, (_, n) => get(`/v1/jobs/slow-${n}`, token))
  await until(() => asked >= 64)
  t.match(await get('/v1/jobs/one-more', token), { status: 503, body: { code: 'overloaded' } })
  for (const { body } of await Promise.all(waiting)) t.match(body, { code: 'archive_unavailable' })
})
