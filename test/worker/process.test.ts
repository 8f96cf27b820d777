// What holds a worker's process and what does not, over Redis, a Cluster and HTTP: watching alone does not, a wait and monitoring do.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import { createEngine } from '../../src/engine/engine.ts'
import { privateRedis, startGateway, tokenOf, WORKER_SCOPES } from '../gateway/support.ts'
import { startCluster } from '../support/cluster.ts'
import { randomPrefix } from '../support/topology.ts'
import { until } from '../support/wait.ts'

const SDK = new URL('../../src/worker/index.ts', import.meta.url).href

const redis = await privateRedis(t)
const { engine, url } = await startGateway(t, redis)
const cluster = await startCluster()
const spread = createEngine({ redis_url: cluster.url, prefix: randomPrefix(), partitions: 8 })
t.teardown(async () => {
  await spread.stop()
  await cluster.stop()
})
await spread.start()
const WAYS = [
  ['Redis', engine, { redisUrl: redis.url, prefix: engine.keys.prefix, tenantId: 'acme' }],
  ['Cluster', spread, { redisUrl: cluster.url, prefix: spread.keys.prefix, tenantId: 'acme' }],
  ['HTTP', engine, { gatewayUrl: url, token: await tokenOf({ scope: WORKER_SCOPES }), tenantId: 'acme' }]
] as const

for (const [way, engine, options] of WAYS) {
  const userDoes = (action: 'pause' | 'resume', job: string) => engine.submit({ type: 'job.control', tenant: 'acme', job, data: { action } })

  function run (script: string) {
    const begin = `import { ProgressMonitor } from ${JSON.stringify(SDK)}\nconst monitor = new ProgressMonitor(${JSON.stringify(options)})\n`
    const child = spawn(process.execPath, ['--input-type=module', '-e', begin + script], { stdio: ['pipe', 'pipe', 'inherit'] })
    t.teardown(() => { child.kill('SIGKILL') })
    let output = ''
    child.stdout.on('data', chunk => { output += chunk })
    return { exited: once(child, 'exit'), said: async (what: string) => { await until(() => output.includes(what), { what }) } }
  }

  t.test(`${way}: a job that is watched, with its signal and a handler, does not hold the process`, async t => {
    const { exited } = run(`
      monitor.addStateChangeHandler(() => {})
      await monitor.registerJob('watched-${way}', { state: 'running' })
      const { signal } = monitor.job('watched-${way}')
      await monitor.job('watched-${way}').waitWhilePaused()`)
    t.same(await exited, [0, null])
  })

  t.test(`${way}: a wait holds it until the user lets the job go on`, async t => {
    const job = `held-${way}`
    const { exited, said } = run(`
      await monitor.registerJob('${job}', { state: 'running' })
      const job = monitor.job('${job}')
      await job.waitWhilePaused()
      console.log('works')
      while (job.state !== 'pausing') await new Promise(resolve => setTimeout(resolve, 10))
      const held = job.waitWhilePaused()
      console.log('waits')
      await held
      console.log('goes on')`)
    await said('works')
    await userDoes('pause', job)
    await said('waits')
    await until(async () => (await engine.readJob('acme', job))?.job.state === 'paused')
    await userDoes('resume', job)
    await said('goes on')
    t.same(await exited, [0, null])
  })

  t.test(`${way}: monitoring holds it until close`, async t => {
    const job = `monitored-${way}`
    await engine.submit({ type: 'job.register', tenant: 'acme', job, data: { state: 'running' } })
    const { exited, said } = run(`
      monitor.addStateChangeHandler((id, prior, next) => {
        console.log(id, prior, next)
        void monitor.close()
      })
      monitor.job('${job}')
      await monitor.startMonitoring()
      console.log('monitors')`)
    await said('monitors')
    await userDoes('pause', job)
    await said(`${job} running pausing`)
    t.same(await exited, [0, null])
  })
  t.test(`${way}: after close nothing holds it, at whatever moment that is`, async t => {
    const moments = {
      'at once': '',
      'a registration under way': `void monitor.registerJob('early-${way}', {})`,
      'a watch under way': `monitor.addStateChangeHandler(() => {})\nawait monitor.registerJob('soon-${way}', {})\nvoid monitor.job('soon-${way}').signal`,
      'a watch that stands': `await monitor.registerJob('late-${way}', {})\nawait monitor.job('late-${way}').waitWhilePaused()`
    }
    for (const [moment, script] of Object.entries(moments)) {
      const { exited, said } = run(`${script}\nawait monitor.close()\nconsole.log('closed')`)
      await said('closed')
      t.same(await exited, [0, null], moment)
    }
  })
}
