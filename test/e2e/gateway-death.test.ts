// H6, H12: a gateway is killed in the middle of a job that 50 clients watch. Nothing accepted is lost, whoever stayed
// connected misses nothing, whoever came back ends with the same picture.

import t from 'tap'
import { createClient, type JobMessage, type JobWatch } from '../../src/client/index.ts'
import { ProgressMonitor } from '../../src/worker/index.ts'
import { startRedis } from '../support/redis.ts'
import { until } from '../support/wait.ts'
import { TENANT, startBalancer, startGatewayProcess, tokenOf } from './support.ts'

t.setTimeout(180_000) // processes start slowly on a machine that runs all tests

const ITEMS = 2000
const CLIENTS = 50
const JOB = 'thumbnails'

/** What becomes of an item, by its number: every tenth is skipped, every tenth fails, one in forty at its second attempt only. */
function fateOf (n: number): 'completed' | 'failed' | 'skipped' | 'retried' {
  if (n % 10 === 3) return 'skipped'
  if (n % 10 === 7) return 'failed'
  return n % 40 === 1 ? 'retried' : 'completed'
}

async function work (monitor: ProgressMonitor, from: number, to: number): Promise<void> {
  for (let n = from; n < to; n++) {
    const id = `item-${n}`
    const fate = fateOf(n)
    void monitor.updateItemProgress(JOB, { id, state: 'processing', row_index: n })
    if (fate === 'retried') {
      void monitor.updateItemProgress(JOB, { id, state: 'failed', retryable: true, error: 'timed out' })
      void monitor.updateItemProgress(JOB, { id, state: 'processing' })
    }
    const stored = monitor.updateItemProgress(JOB, { id, state: fate === 'retried' ? 'completed' : fate })
    if (n % 20 === 0) await stored // so that the job takes a moment, and is in the middle when the gateway dies
  }
  await monitor.flush()
}

interface Watcher { watch: JobWatch, messages: JobMessage[], lost: () => boolean }

async function watchAll (url: string, token: string): Promise<Watcher[]> {
  const watchers: Watcher[] = []
  for (let n = 0; n < CLIENTS; n++) {
    const client = createClient({ url, getToken: () => token })
    t.teardown(() => client.close())
    const watch = client.watch(JOB)
    const messages: JobMessage[] = []
    watch.onMessage(message => { messages.push(message) })
    let lost = false
    watch.subscribe(() => { lost ||= watch.getSnapshot().connection === 'reconnecting' })
    watchers.push({ watch, messages, lost: () => lost })
    await until(() => watch.getSnapshot().connection === 'live', { what: `client ${n} is live` }) // one by one: the balancer alternates
  }
  return watchers
}

function isLogged ({ type }: JobMessage): boolean {
  return type !== 'job.snapshot' && !type.endsWith('.progress')
}

/** Sequence numbers that are not the one before plus one; a snapshot begins anew. */
function gapsOf (messages: readonly JobMessage[]): string[] {
  const gaps: string[] = []
  let seq = 0
  for (const message of messages) {
    if (isLogged(message) && message.seq !== seq + 1) gaps.push(`${seq} → ${message.seq} (${message.type})`)
    seq = message.seq
  }
  return gaps
}

t.test('one of two gateways is SIGKILLed in the middle of a job of 2,000 items with 50 watchers', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const gateways = await Promise.all([startGatewayProcess(t, redis.url), startGatewayProcess(t, redis.url)])
  const url = await startBalancer(t, gateways.map(({ port }) => port))
  const monitor = new ProgressMonitor({ redisUrl: redis.url, tenantId: TENANT })
  t.teardown(() => monitor.close())
  await monitor.registerJob(JOB, { items_total: ITEMS, item_kind: 'image', auto_complete: true, state: 'running' })
  const token = await tokenOf()
  await until(async () => (await fetch(`${url}/v1/jobs/${JOB}`, { headers: { authorization: `Bearer ${token}` } })).ok, { what: 'the job is known' })
  const watchers = await watchAll(url, token)

  await work(monitor, 0, ITEMS / 2)
  await until(() => watchers.every(({ watch }) => (watch.getSnapshot().job?.items_completed ?? 0) > 0), { what: 'all have heard something' })
  const rest = work(monitor, ITEMS / 2, ITEMS)
  await gateways[0]?.child.end('SIGKILL')
  await rest

  await until(() => watchers.every(({ watch }) => watch.getSnapshot().connection === 'ended'), { what: 'all saw the end', timeout_ms: 45_000 })

  const fates = Array.from({ length: ITEMS }, (_, n) => fateOf(n))
  const count = (...wanted: string[]): number => fates.filter(fate => wanted.includes(fate)).length
  const expected = {
    state: 'completed',
    items_total: ITEMS,
    items_completed: count('completed', 'retried'),
    items_failed: count('failed'),
    items_skipped: count('skipped'),
    items_canceled: 0,
    items_pending: 0,
    items_processing: 0
  }
  for (const [n, { watch }] of watchers.entries()) t.match(watch.getSnapshot().job, expected, `client ${n}: every counter is exact`)

  const stayed = watchers.filter(({ lost }) => !lost())
  t.equal(stayed.length, CLIENTS / 2, 'half of them were on the gateway that lives')
  const snapshots = watchers.map(({ messages }) => messages.filter(({ type }) => type === 'job.snapshot').length)
  t.ok(snapshots.every(count => count === 1), 'the others went on behind their last event, on the other gateway')
  const lifecycle = 2 * ITEMS + 2 * count('retried')
  for (const { messages } of watchers) {
    const first = messages[0]?.seq ?? 0
    t.same(gapsOf(messages), [], 'no gap')
    t.equal(messages.at(-1)?.type, 'job.completed', 'the final event is the last')
    t.equal(messages.filter(isLogged).length, (messages.at(-1)?.seq ?? 0) - first, 'each logged event once')
    t.ok((messages.at(-1)?.seq ?? 0) >= lifecycle, 'two events an item at least')
  }

  const returned = watchers.filter(watcher => !stayed.includes(watcher))
  const end = stayed[0]?.messages.at(-1)
  for (const { watch } of returned) {
    t.equal(watch.getSnapshot().job?.seq, end?.seq, 'the same seq at the end')
    t.equal(watch.getSnapshot().job?.rev, stayed[0]?.watch.getSnapshot().job?.rev, 'and the same rev')
  }
})
