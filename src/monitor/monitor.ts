// What may bring this process down, looked at every few seconds: memory, CPU, its one thread, and whether Redis and the database answer.
// Told as state, as figures, and in the log when something crosses its mark. Readiness does not depend on it: others would get the load.

import { performance, type EventLoopUtilization } from 'node:perf_hooks'
import { Gauge, type Registry } from 'prom-client'
import { registerBuild, type Build } from './build.ts'
import { createMark, type Mark } from './mark.ts'
import { createUsage, type Usage } from './usage.ts'

export interface Log {
  info (fields: object, message: string): void
  warn (fields: object, message: string): void
}

export interface MonitorParams {
  log: Log
  build: Build
  /** Name → whether it answers; null = nothing is known. */
  services?: Readonly<Record<string, () => Promise<boolean | null>>>
  usage?: Usage
  interval_ms?: number
}

export type ResourceName = 'memory' | 'cpu' | 'event_loop'

export interface ResourceState {
  state: 'ok' | 'high'
  used_percent: number
  /** What the percents are of. */
  of: string
}

export interface MonitorState {
  resources: Record<ResourceName, ResourceState>
  services: Record<string, 'up' | 'away' | 'unknown'>
}

export interface Monitor {
  state (): MonitorState
  /** Adds its figures; the same names in every role. */
  register (registry: Registry): void
  /** One look. */
  look (): Promise<void>
  start (): Promise<void>
  stop (): void
}

const INTERVAL_MS = 5_000
/** The source document's marks for memory and CPU; a thread that is 80 % busy has begun to queue. */
const MARKS = {
  memory: { high: 0.9, normal: 0.85, looks: 1 },
  cpu: { high: 0.8, normal: 0.7, looks: 3 },
  event_loop: { high: 0.8, normal: 0.7, looks: 3 }
} as const

const ADVICE: Record<ResourceName, string> = {
  memory: 'at its limit the process is killed: give it more, or let it hold fewer sockets (HEADWAY_SOCKETS_MAX)',
  cpu: 'everything gets slower: add replicas, or raise the limit',
  event_loop: 'one thread does nearly all, and it is full: add replicas'
}

export function createMonitor ({ log, build, services = {}, usage = createUsage(), interval_ms = INTERVAL_MS }: MonitorParams): Monitor {
  const marks: Record<ResourceName, Mark> = {
    memory: createMark(MARKS.memory), cpu: createMark(MARKS.cpu), event_loop: createMark(MARKS.event_loop)
  }
  const shares: Record<ResourceName, number> = { memory: 0, cpu: 0, event_loop: 0 }
  const origins: Record<ResourceName, string> = { memory: 'unknown', cpu: 'unknown', event_loop: 'thread' }
  const answers = new Map<string, boolean | null>(Object.keys(services).map(name => [name, null]))
  let cpu = usage.cpu()
  let loop: EventLoopUtilization = performance.eventLoopUtilization()
  let timer: NodeJS.Timeout | undefined

  function measure (): void {
    const memory = usage.memory()
    shares.memory = memory.limit > 0 ? memory.used / memory.limit : 0
    origins.memory = memory.of
    const now = usage.cpu()
    const available = now.available - cpu.available
    // A limit may come or go while it runs; then there is nothing to compare with.
    if (now.of === cpu.of && available > 0) shares.cpu = Math.max(0, now.spent - cpu.spent) / available
    origins.cpu = now.of
    cpu = now
    shares.event_loop = performance.eventLoopUtilization(loop).utilization
    loop = performance.eventLoopUtilization()
  }

  function tell (): void {
    for (const name of Object.keys(marks) as ResourceName[]) {
      if (!marks[name].look(shares[name])) continue
      const percent = percentOf(shares[name])
      const fields = { resource: name, used_percent: percent, of: origins[name] }
      if (marks[name].high) log.warn({ event: 'resource_high', ...fields }, `${name} is used to ${percent} %: ${ADVICE[name]}`)
      else log.info({ event: 'resource_normal', ...fields }, `${name} is used to ${percent} % again`)
    }
  }

  async function ask (): Promise<void> {
    await Promise.all(Object.entries(services).map(async ([name, isUp]) => {
      const before = answers.get(name)
      const up = await isUp().catch(() => false)
      answers.set(name, up)
      if (up === before || up === null) return
      if (!up) log.warn({ event: 'service_away', service: name }, `${name} does not answer`)
      else if (before === false) log.info({ event: 'service_back', service: name }, `${name} answers again`)
    }))
  }

  async function look (): Promise<void> {
    measure()
    tell()
    await ask()
  }

  function again (): void {
    timer = setTimeout(() => { void look().finally(() => { if (timer !== undefined) again() }) }, interval_ms)
    timer.unref()
  }

  return {
    state: () => ({
      resources: Object.fromEntries((Object.keys(marks) as ResourceName[]).map(name => [name, {
        state: marks[name].high ? 'high' : 'ok', used_percent: percentOf(shares[name]), of: origins[name]
      }])) as MonitorState['resources'],
      services: Object.fromEntries([...answers].map(([name, up]) => [name, up === null ? 'unknown' : up ? 'up' : 'away']))
    }),
    register (registry) {
      registerBuild(registry, build)
      const gauge = (name: string, help: string, label: string, samples: () => [string, number][]): void => {
        registry.registerMetric(new Gauge({
          name: `headway_${name}`, help, labelNames: [label], registers: [], collect () { for (const [key, value] of samples()) this.set({ [label]: key }, value) }
        }))
      }
      gauge('resource_used_ratio', 'Share of the limit of the cgroup, or of the machine; of the event loop its time.', 'resource', () => Object.entries(shares))
      gauge('resource_high', '1 = above its mark: memory 0.9, cpu and event_loop 0.8.', 'resource',
        () => (Object.keys(marks) as ResourceName[]).map(name => [name, marks[name].high ? 1 : 0]))
      gauge('service_up', '1 = it answered when it was asked last.', 'service',
        () => [...answers].filter(([, up]) => up !== null).map(([name, up]) => [name, up === true ? 1 : 0]))
    },
    look,
    async start () {
      await look()
      again()
    },
    stop () {
      clearTimeout(timer)
      timer = undefined
    }
  }
}

function percentOf (share: number): number {
  return Math.round(share * 1000) / 10
}
