// What a gateway tells Prometheus: the figures move with what happens, under names of its conventions, with bounded labels.

import { readFileSync } from 'node:fs'
import t from 'tap'
import { call, Client, privateRedis, startGateway, tokenOf, WORKER_SCOPES } from './support.ts'
import { until } from '../support/wait.ts'

const redis = await privateRedis(t)
const worker = await tokenOf({ scope: WORKER_SCOPES })

interface Figures { text: string, value: (sample: string) => number }

async function figuresOf (internalUrl: string): Promise<Figures> {
  const response = await fetch(`${internalUrl}/metrics`)
  t.match(response.headers.get('content-type'), /^text\/plain; version=0\.0\.4/)
  const text = await response.text()
  const samples = new Map(text.split('\n').filter(line => line !== '' && !line.startsWith('#')).map(line => {
    const at = line.lastIndexOf(' ')
    return [line.slice(0, at), Number(line.slice(at + 1))] as const
  }))
  return { text, value: sample => samples.get(sample) ?? 0 }
}

t.test('figures move with what happens', async t => {
  const { url, internal_url: internalUrl } = await startGateway(t, redis, { HEADWAY_REVISION: 'abc1234' })
  const before = await figuresOf(internalUrl)
  t.equal(before.value('headway_ready'), 1)
  t.equal(before.value('headway_hearing'), 1)
  t.equal(before.value('headway_connections{kind="websocket"}'), 0)

  await call(`${url}/v1/jobs`, 'POST', worker, { id: 'secret-job', items_total: 5, state: 'running' })
  const first = await new Client(`${url}/?job_id=secret-job&token=${worker}`).open()
  const { data: { epoch } } = await first.of('job.snapshot')
  const second = await new Client(`${url}/?job_id=secret-job&token=${worker}&since=${String(epoch)}.0`).open()
  const third = await new Client(`${url}/?job_id=secret-job&token=${worker}&since=1.0`).open()
  await third.of('job.snapshot')
  await new Client(`${url}/?job_id=absent&token=${worker}`).refused()
  first.say({ action: 'nonsense', id: 'n' })
  await first.answer('n')
  for (let n = 0; n < 4; n++) await call(`${url}/v1/jobs/secret-job/progress`, 'POST', worker, { items_completed: n })
  await call(`${url}/v1/jobs/nobodys/items/i`, 'PUT', worker, { state: 'completed' })
  await call(`${url}/v1/jobs/secret-job/items/i`, 'PUT', worker, { state: 'completed' })
  await Promise.all([first, second, third].map(client => client.of('video.completed')))
  third.socket.close()
  await third.end()
  const fourth = await new Client(`${url}/v1/ws?token=${worker}`).open()
  fourth.socket.close(4999)
  await fourth.end()

  const figures = await until(async () => {
    const now = await figuresOf(internalUrl)
    return now.value('headway_connections{kind="websocket"}') === 2 ? now : null
  }, { what: 'two have gone' })
  t.equal(figures.value('headway_rooms{kind="jobs"}'), 1)
  for (const outcome of ['snapshot', 'resumed', 'reset']) t.equal(figures.value(`headway_joins_total{outcome="${outcome}"}`), 1, outcome)
  t.ok(figures.value('headway_joins_from_memory_total') >= 1, 'the second stood where the first did')
  t.equal(figures.value('headway_refused_messages_total{code="unknown_action"}'), 1)
  t.equal(figures.value('headway_http_answers_total{route="/",status="404"}'), 1, 'a refused upgrade')
  t.equal(figures.value('headway_sockets_closed_total{code="1005"}'), 1)
  t.equal(figures.value('headway_sockets_closed_total{code="other"}'), 1, 'a client cannot make labels')
  t.equal(figures.value('headway_sockets_closed_total{code="1006"}'), 0, 'what never became a socket is none that was closed')
  t.ok(figures.value('headway_deliveries_total') >= first.messages.length + second.messages.length)
  t.ok(figures.value('headway_deliveries_total') >= figures.value('headway_writes_total'))
  t.ok(figures.value('headway_delivered_bytes_total') > figures.value('headway_deliveries_total') * 50)
  t.ok(figures.value('headway_event_age_seconds_count') >= 1, 'once a room, whoever watches')
  t.ok(figures.value('headway_event_age_seconds_count') <= figures.value('headway_drain_events_total{effect="applied"}'))
  t.equal(figures.value('headway_event_age_seconds_bucket{le="30"}'), figures.value('headway_event_age_seconds_count'), 'by the clock of the stream')
  t.ok(figures.value('headway_progress_conflated_total') >= 1, 'four reports at once')
  t.ok(figures.value('headway_drain_entries_total') >= 6)
  t.ok(figures.value('headway_drain_events_total{effect="applied"}') >= 6)
  t.equal(figures.value('headway_drain_rejected_total{code="unknown_job"}'), 1)
  t.equal(figures.value('headway_drain_events_total{effect="rejected"}'), 1)
  t.ok(figures.value('headway_drain_redis_seconds_total') > 0)
  const calls = figures.value('headway_drain_duration_seconds_count')
  t.ok(calls >= 1 && calls < figures.value('headway_drain_calls_total'), 'idle sweeps are not among them')
  t.ok(figures.value('headway_drain_duration_seconds_sum') > 0)
  t.ok(figures.value('headway_drain_duration_seconds_sum') <= figures.value('headway_drain_redis_seconds_total'))
  const effects = ['applied', 'repeated', 'ignored', 'rejected', 'producer_gap'].map(effect => figures.value(`headway_drain_events_total{effect="${effect}"}`))
  t.equal(figures.value('headway_drain_batch_events_sum'), effects.reduce((sum, one) => sum + one, 0), 'every event is in a batch')
  t.ok(figures.value('headway_drain_batch_events_bucket{le="1"}') >= 1, 'single ones, by single calls')
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
  t.equal(figures.value(`headway_build_info{version="${version}",revision="abc1234",node_version="${process.versions.node}",role="gateway"}`), 1)
  t.ok(figures.value('nodejs_eventloop_lag_p99_seconds') > 0)
  t.notMatch(figures.text, /secret-job|acme/, 'no job and no tenant is a label')
})

t.test('names keep to the conventions', async t => {
  const { internal_url: internalUrl } = await startGateway(t, redis)
  const { text } = await figuresOf(internalUrl)
  const types = [...text.matchAll(/^# TYPE (headway_\S+) (\w+)$/gm)].map(([, name = '', type = '']) => ({ name, type }))
  t.ok(types.length > 15)
  for (const { name, type } of types) {
    t.match(name, type === 'counter' ? /^headway_[a-z_]+_total$/ : /^headway_[a-z_]+(?<!_total)$/, name)
    t.match(text, new RegExp(`^# HELP ${name} .+`, 'm'))
  }
})

t.test('on the public port only when it is asked for', async t => {
  const { url } = await startGateway(t, redis, { HEADWAY_PUBLIC_PROBES: 'off' })
  t.equal((await fetch(`${url}/metrics`)).status, 404)
  const { url: open } = await startGateway(t, redis, { HEADWAY_PUBLIC_PROBES: 'on' })
  t.equal((await fetch(`${open}/metrics`)).status, 200)
})
