// What `npm start` does: a Redis unless one is given, a local Supabase and a persister into it, two gateways, a sample worker, and an
// address to open. Everything it starts is a child that ends with it.

import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createChildren, type Child } from './children.ts'
import { DemoError } from './demo-error.ts'
import { startDemoPersister } from './demo-persister.ts'
import { startDemoSupabase, type DemoSupabase } from './demo-supabase.ts'
import { freePortFrom } from './free-port.ts'
import { startDemoGateway, type DemoGateway } from './demo-gateway.ts'
import { holdFolder, type OnlyOnce } from './only-once.ts'
import { startPrivateRedis } from './private-redis.ts'
import type { SampleWorkerMessage, SampleWorkerOptions } from './sample-worker.ts'
import { REDIS, ensureProgram } from './system-programs.ts'

const GATEWAYS = 2
const TENANT = 'demo'
/** Kept between two runs, so that a dashboard that is still open goes on. */
const SECRET_FILE = 'jwt-secret'
/** So that workers of the user's own can join in. */
const URL_FILE = 'redis-url'

export interface DemoOptions {
  /** Takes data, logs and the secret; made when absent. */
  data_folder: string
  /** Null = a private one. */
  redis_url: string | null
  host: string
  /** Of the first gateway; the second takes the next. */
  port: number
  /** Null = made, and kept for the next run. */
  jwt_secret: string | null
  /** Whether ended jobs go into a local Supabase. */
  supabase: boolean
  sample: Pick<SampleWorkerOptions, 'folder' | 'files_max' | 'quality' | 'size_limit_bytes' | 'time_limit_ms'>
  /** File to run with `gateway` for a gateway. */
  headway: string
  signToken: (secret: string, tenant: string) => Promise<string>
  say: (line: string) => void
  /** Aborted = stop what was started so far; startDemo then rejects. */
  signal: AbortSignal
}

export interface Demo {
  /** Another sample job; does nothing while one runs. */
  runSample (): void
  /** Idempotent. */
  stop (): Promise<void>
  /** Everything, at once; for the impatient. */
  kill (): void
}

/** @throws DemoError, MissingProgramError */
export async function startDemo (options: DemoOptions): Promise<Demo> {
  const { say, sample } = options
  if (statSync(sample.folder, { throwIfNoEntry: false })?.isDirectory() !== true) throw new DemoError(`${sample.folder} is not a folder`)
  const folder = options.data_folder
  mkdirSync(folder, { recursive: true })
  const hold = await holdFolder(folder)
  if ('taken' in hold) throw new DemoError(`Headway runs here already: ${hold.taken}`)
  const children = createChildren()
  let worker: Child | null = null
  let supabase: DemoSupabase | null = null
  let stopped: Promise<void> | null = null
  const over = new AbortController()

  options.signal.addEventListener('abort', () => { void stop() })
  try {
    const secret = options.jwt_secret ?? keptSecret(join(folder, SECRET_FILE))
    // Both to their end, however the other one goes: nothing may start after everything was stopped.
    const [store, project] = await Promise.allSettled([options.redis_url ?? redis(), options.supabase ? localSupabase(secret) : null])
    if (project.status === 'fulfilled') supabase = project.value
    for (const one of [store, project]) if (one.status === 'rejected') throw one.reason
    const redisUrl = (store as PromiseFulfilledResult<string>).value
    const gateways = await startGateways(redisUrl, secret)
    const address = `http://localhost:${gateways[0]?.port}/#token=${await options.signToken(secret, TENANT)}`
    if (supabase !== null) persist(redisUrl, supabase)
    hold.announce(address)
    say(`\n  Dashboard  ${address}\n`)
    runSample(redisUrl)
    return { runSample: () => { runSample(redisUrl) }, stop, kill: () => { children.kill() } }
  } catch (error) {
    await stop()
    throw error
  }

  async function redis (): Promise<string> {
    const program = ensureProgram(REDIS, say)
    const log = join(folder, 'redis.log')
    const { url, port, child } = await startPrivateRedis({ program, data_folder: join(folder, 'redis'), log_file: log, children })
    writeFileSync(join(folder, URL_FILE), url, { mode: 0o600 })
    say(`Redis      a private one on port ${port}; its address is in ${join(folder, URL_FILE)}`)
    void child.ended.then(how => { if (stopped === null) say(`Redis ended with ${how}; see ${log}. Stop with Ctrl-C and start again.`) })
    return url
  }

  async function startGateways (redisUrl: string, secret: string): Promise<DemoGateway[]> {
    const ports: number[] = []
    for (let n = 0; n < GATEWAYS; n++) {
      const wanted = options.port + n
      const port = await freePortFrom(options.host, wanted, new Set(ports))
      if (port !== wanted) say(`Port ${wanted} is taken; gateway ${n + 1} uses ${port}`)
      ports.push(port)
    }
    const gateways = await Promise.all(ports.map(port => startDemoGateway({
      headway: options.headway,
      host: options.host,
      port,
      redis_url: redisUrl,
      jwt_secret: secret,
      env: supabase?.env ?? {},
      log_file: join(folder, `gateway-${port}.log`),
      children,
      say,
      stopping: () => stopped !== null
    })))
    say(`Gateways   ${ports.map(port => `http://localhost:${port}`).join(' and ')}`)
    return gateways
  }

  function localSupabase (secret: string): Promise<DemoSupabase | null> {
    return startDemoSupabase({ folder, jwt_secret: secret, tenant: TENANT, children, say, signal: over.signal })
  }

  function persist (redisUrl: string, { env }: DemoSupabase): void {
    const { headway } = options
    const log = join(folder, 'persister.log')
    startDemoPersister({ headway, env: { REDIS_URL: redisUrl, ...env }, log_file: log, children, say, stopping: () => stopped !== null })
  }

  function runSample (redisUrl: string): void {
    if (worker !== null || stopped !== null) return
    const job = { ...sample, tenant_id: TENANT, job_id: `sample-${new Date().toISOString().replace(/\D/g, '').slice(0, 14)}` }
    const child = children.start({
      name: 'sample worker',
      command: process.execPath,
      args: [join(import.meta.dirname, 'sample-worker.ts'), JSON.stringify(job)],
      env: { REDIS_URL: redisUrl },
      log_file: join(folder, 'sample-worker.log'),
      ipc: true
    })
    worker = child
    child.process.on('message', (message: SampleWorkerMessage) => {
      if (message.event === 'ended') worker = null // it only has to go
      say(describe(message, sample.folder))
    })
    void child.ended.then(how => {
      if (worker !== child) return
      worker = null
      if (stopped === null) say(`The sample worker ended with ${how}; see ${join(folder, 'sample-worker.log')}`)
    })
  }

  async function stopAll (): Promise<void> {
    await supabase?.hangUp()
    await children.stop()
    supabase?.remove()
  }

  function stop (): Promise<void> {
    over.abort()
    stopped ??= stopAll().finally(() => { (hold as OnlyOnce).release() })
    return stopped
  }
}

function describe (message: SampleWorkerMessage, folder: string): string {
  if (message.event === 'ended') return `Sample job ${message.job_id} is ${message.state}`
  return `Sample job ${message.job_id}: ${message.files} files of ${folder} through brotli, ${message.threads} at a time`
}

function keptSecret (file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    const secret = randomBytes(32).toString('base64url')
    writeFileSync(file, secret, { mode: 0o600 })
    return secret
  }
}
