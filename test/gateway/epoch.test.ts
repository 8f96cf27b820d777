// Redis has lost writes: watchers of jobs in which nothing happens hear of the new epoch too, on every gateway.

import t from 'tap'
import { until } from '../support/wait.ts'
import { Client, privateRedis, startGateway, tokenOf } from './support.ts'

const redis = await privateRedis(t)
const env = { HEADWAY_PREFIX: 'epoch', HEADWAY_PARTITIONS: '2' }
const one = await startGateway(t, redis, env)
const two = await startGateway(t, redis, env)
const token = await tokenOf()
const { command } = one.engine.connections
const metaOf = (job: string): string => one.engine.keys.partition(one.engine.partitionOf('acme', job)).meta

async function register (job: string): Promise<void> {
  await one.engine.submit({ tenant: 'acme', job, type: 'job.register', data: { items_total: 3, state: 'running' } })
}

const isReset = ({ type, data }: { type: string, data: Record<string, unknown> }): boolean => type === 'job.snapshot' && data['reset'] === true

t.test('another Redis answers: a reset of the greater epoch, without any event', async t => {
  await register('idle')
  const clients = [one, two].map(({ url }) => new Client(`${url}/?job_id=idle&token=${token}`))
  const tenants = [one, two].map(({ url }) => new Client(`${url}/v1/ws?token=${token}`))
  for (const tenant of tenants) {
    await tenant.open()
    tenant.say({ action: 'subscribe_tenant', id: 't' })
    await tenant.of('tenant.snapshot')
  }
  for (const client of clients) await client.of('job.snapshot')
  const before = (await one.engine.readJob('acme', 'idle'))?.job.epoch ?? 0
  await command.hset(metaOf('idle'), 'rid', 'f'.repeat(40)) // as a promoted replica finds it
  for (const client of clients) {
    const { data } = await client.hear(isReset, 'the reset')
    t.ok(data['epoch'] as number > before)
  }
  for (const tenant of tenants) {
    const { data } = await tenant.hear(({ type, data }) => type === 'tenant.snapshot' && data['reset'] === true, 'the list of the tenant')
    t.ok((data['jobs'] as { epoch: number }[])[0]?.epoch as number > before)
  }
  for (const client of [...clients, ...tenants]) client.socket.close()
})

t.test('wiped: nobody is told that the job is gone, and it comes back by a reset', async t => {
  await register('lost')
  const client = await new Client(`${two.url}/?job_id=lost&token=${token}`).open()
  await client.of('job.snapshot')
  const { key, partition } = one.engine.keys.job('acme', 'lost')
  let raised = 0
  t.teardown(two.engine.onEpoch(n => { if (n === partition) raised++ }))
  await command.unlink(key, ...Object.values(one.engine.keys.partition(partition)))
  await until(() => raised > 0, { what: 'the partition is another one' })
  await until(async () => await one.engine.readJob('acme', 'lost') === null)
  client.say({ action: 'ping', id: 'p' })
  await client.hear(({ type }) => type === 'pong', 'an answer')
  t.same(client.messages.filter(({ type }) => type === 'error'), [])
  await register('lost')
  t.equal((await client.hear(isReset, 'the job anew')).job_id, 'lost')
  client.socket.close()
})
