// One run: starts everything, lets workers, users and the fault loose, waits until it is quiet, and writes down what is left.
// It gives no verdict; see check.ts.

import { setTimeout as pause } from 'node:timers/promises'
import { startBackend } from './backends.ts'
import { startWatcher, type Watcher } from './clients.ts'
import { recordFinals } from './finals.ts'
import type { Fault, World } from './faults.ts'
import { prepareGateway, userToken, type GatewayHandle } from './gateways.ts'
import { haproxyBinary, startHaproxy } from './haproxy.ts'
import { between, expectedOf, makePlan, randomOf, type Plan } from './plan.ts'
import { startProxy, type Proxy } from './proxy.ts'
import { createRecorder, type Recorder } from './record.ts'
import { startTenantWatcher, type TenantWatcher } from './tenant-clients.ts'
import { actAsUsers } from './users.ts'
import { startWorkerPool } from './worker-pool.ts'
import { work, type Progress } from './workers.ts'

export interface RunParams { fault: Fault, seed: number, quick: boolean, file: string }

/** What Redis, users and workers may take after the last planned event. Beyond it the run ends, and the checker says why. */
const QUIET_MS_MAX = 120_000
/** Nothing new may come for this long before a run is called quiet: what comes after the end must have its chance. */
const QUIET_MS = 400
const RSS_BYTES_MAX = 400 * 1_048_576
const SAMPLE_MS = 250
/** Behind haproxy. */
const BALANCED_GATEWAYS = 3
/** Clients that watch all jobs of the tenant. */
const TENANT_CLIENTS = 2

/** Runs what it was given in reverse, whatever fails. */
function createCleanup (): { add: (task: () => unknown) => void, run: () => Promise<void> } {
  const tasks: (() => unknown)[] = []
  return {
    add (task) { tasks.push(task) },
    async run () { for (const task of tasks.reverse()) await Promise.resolve().then(task).catch(() => {}) }
  }
}

/** @throws Error when the run could not be set up */
export async function runScenario ({ fault, seed, quick, file }: RunParams): Promise<void> {
  const plan = makePlan(seed, { quick, fat: fault.fat === true })
  const cleanup = createCleanup()
  const recorder = createRecorder(file)
  cleanup.add(() => recorder.close())
  const bounds = { rss_bytes_max: RSS_BYTES_MAX, away_ms_max: quick ? null : fault.away_ms_max ?? null }
  recorder.write({
    k: 'run',
    rules: { fault: fault.name, seed, quick, new_epochs: false, resets: false, unknown: false, ...fault.may, ...bounds },
    expected: plan.jobs.map(expectedOf),
    clients: plan.clients.map((job, client) => ({ client, job })),
    tenant_clients: tenantClients(plan)
  })
  try {
    await play({ fault, plan, seed, quick, recorder, cleanup })
  } finally {
    await cleanup.run()
  }
}

/** Their numbers come behind the others'. */
function tenantClients (plan: Plan): number[] {
  return Array.from({ length: TENANT_CLIENTS }, (_, n) => plan.clients.length + n)
}

interface Play {
  fault: Fault
  plan: Plan
  seed: number
  quick: boolean
  recorder: Recorder
  cleanup: ReturnType<typeof createCleanup>
}

async function play ({ fault, plan, seed, quick, recorder, cleanup }: Play): Promise<void> {
  const backend = await startBackend(fault.backend)
  cleanup.add(() => backend.stop())
  const { gateways, urls, clientWires, redisWires } = await startGateways(fault, plan, backend.url, cleanup)
  const samples = setInterval(() => {
    for (const gateway of gateways) {
      const rss = gateway.rss()
      if (rss !== null) recorder.write({ k: 'rss', ...rss })
    }
  }, SAMPLE_MS)
  cleanup.add(() => clearInterval(samples))

  const random = randomOf(seed ^ 0x5eed)
  const anyUrl = (): string => urls[between(random, 0, urls.length - 1)] ?? ''
  const token = await userToken()
  const watchers = plan.clients.map((job, client) => startWatcher({ client, job, token, url: anyUrl, recorder }))
  const tenantWatchers = tenantClients(plan).map(client => startTenantWatcher({ client, token, url: anyUrl, recorder }))
  cleanup.add(() => { for (const watcher of [...watchers, ...tenantWatchers]) watcher.stop() })

  const progress: Progress = new Map()
  const planned = plan.jobs.reduce((sum, { items }) => sum + items.length, 0)
  const done = (): number => plan.jobs.reduce((sum, { id, items, kind }) => {
    // A cancel leaves items undone on purpose.
    return sum + (kind === 'canceled' && watchers.some(({ job, ended }) => job === id && ended) ? items.length : progress.get(id) ?? 0)
  }, 0)
  let over = false
  const onDone = (job: string, items: number): void => { progress.set(job, items) }
  const processes = { plan, redis_url: backend.url, gateway_urls: urls, token, seed, onDone }
  const pool = fault.workers === true ? await startWorkerPool(processes) : null
  if (pool !== null) cleanup.add(() => pool.close())
  const working = pool === null ? work({ plan, redis_url: backend.url, onDone, stopped: () => over }) : null
  const users = actAsUsers({ plan, url: anyUrl, token, progress, stopped: () => over })
  const world: World = {
    random: randomOf(seed ^ 0xfa017),
    quick,
    jobs: plan.jobs.map(({ id }) => id),
    backend,
    gateways,
    watchers,
    tenant_watchers: tenantWatchers,
    workers: pool?.workers ?? [],
    client_wires: clientWires,
    redis_wires: redisWires,
    async at (share) { while (!over && done() < share * planned) await pause(10) },
    share: () => done() / planned,
    over: () => over,
    tell: what => recorder.write({ k: 'fault', what })
  }
  const latest = performance.now() + plan.work_ms + QUIET_MS_MAX
  const inTime = (): boolean => performance.now() < latest
  const injected = fault.inject(world).catch(error => { recorder.write({ k: 'note', what: `the fault failed: ${String(error)}` }) })

  const ends = new Set(plan.jobs.filter(({ kind }) => kind !== 'open').map(({ id }) => id))
  const openJob = plan.jobs.find(({ kind }) => kind === 'open')
  const openDone = (): boolean => (progress.get(openJob?.id ?? '') ?? 0) >= (openJob?.items.length ?? 0)
  while (inTime() && !(openDone() && watchers.every(({ job, ended }) => ended || !ends.has(job)))) await pause(20)
  let faultDone = false
  void injected.then(() => { faultDone = true })
  while (inTime() && !faultDone) await pause(20)
  await quiet(watchers, tenantWatchers, inTime)
  await recordFinals({ redis_url: backend.url, jobs: world.jobs, recorder, settled: () => quiet(watchers, tenantWatchers, inTime) })
  over = true
  const refused = await working ?? await pool?.stop() ?? []
  await users
  recorder.write({ k: 'end', refused })
}

interface Entrances { gateways: GatewayHandle[], urls: string[], clientWires: Proxy[], redisWires: Proxy[] }

async function startGateways (fault: Fault, plan: Plan, redisUrl: string, cleanup: Play['cleanup']): Promise<Entrances> {
  const clientWires: Proxy[] = []
  const redisWires: Proxy[] = []
  const wire = async (target: number, wires: Proxy[]): Promise<number> => {
    const proxy = await startProxy(target)
    cleanup.add(() => proxy.close())
    wires.push(proxy)
    return proxy.port
  }
  const count = fault.balanced === true ? BALANCED_GATEWAYS : plan.gateways
  const gateways = await Promise.all(Array.from({ length: count }, async (_, n) => {
    const url = fault.proxied === true ? `redis://127.0.0.1:${await wire(Number(new URL(redisUrl).port), redisWires)}` : redisUrl
    const gateway = await prepareGateway(url, fault.env)
    if (n >= (fault.gateways_later ?? 0)) await gateway.start()
    cleanup.add(() => gateway.end())
    return gateway
  }))
  if (fault.balanced === true) {
    const binary = haproxyBinary()
    if (binary === null) throw new Error('haproxy is not installed')
    const balancer = await startHaproxy(binary, gateways.map(({ port }) => port))
    cleanup.add(() => balancer.stop())
    return { gateways, urls: [balancer.url], clientWires, redisWires }
  }
  const own = gateways.map(({ port }) => port)
  const ports = fault.proxied === true ? await Promise.all(own.map(port => wire(port, clientWires))) : own
  return { gateways, urls: ports.map(port => `http://127.0.0.1:${port}`), clientWires, redisWires }
}

/** Until nobody's position has moved for a moment, and those whose stream has no end are there. */
async function quiet (watchers: readonly Watcher[], tenantWatchers: readonly TenantWatcher[], inTime: () => boolean): Promise<void> {
  const picture = (): string => JSON.stringify([
    watchers.map(({ position, metrics }) => [position, metrics]),
    tenantWatchers.map(({ live, positions }) => live ? [...positions] : performance.now())
  ])
  let before = picture()
  let since = performance.now()
  while (inTime() && performance.now() - since < QUIET_MS) {
    await pause(40)
    const now = picture()
    if (now === before) continue
    before = now
    since = performance.now()
  }
}
