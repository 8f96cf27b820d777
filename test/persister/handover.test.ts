// What apps write is taken by one persister, the holder of the first partition. When that one dies, sleeps past its lease or may not read,
// another takes over; and whoever believes to be the one does no harm: each row once.

import t, { type Test } from 'tap'
import type { Engine } from '../../src/engine/engine.ts'
import type { Persister } from '../../src/persister/persister.ts'
import { SinkError, type Sink } from '../../src/persister/sink.ts'
import { until } from '../support/wait.ts'
import { clear, historyOf, postgres, supabase, topology, waiting, withInbox } from './inbound-support.ts'
import { startEngine, startPersister, type Spoken } from './support.ts'

const BY_LOOK = { inbound_poll_ms: 20 }

const insert = async (id: string): Promise<void> => { await postgres.query("insert into bulk_jobs (tenant_id, id) values ('acme', $1)", [id]) }
const ask = async (id: string, word: string): Promise<void> => { await postgres.query('update bulk_jobs set requested_state = $2 where id = $1', [id, word]) }
const tell = async (job: string, type: string, data: object): Promise<void> => {
  await postgres.query("insert into job_events (tenant_id, job_id, type, data, origin) values ('acme', $1, $2, $3, 'app')", [job, type, data])
}

/** Nothing of it is final, so none of it is without effect when it is told again behind what follows. */
async function write (job: string): Promise<void> {
  await insert(job)
  await tell(job, 'job.state', { state: 'running' })
  for (const state of ['failed', 'processing', 'failed', 'processing', 'failed']) await tell(job, 'item.update', { id: 'i', state })
}

const WRITTEN = ['pending>running', 'i failed', 'i retrying', 'i failed', 'i retrying', 'i failed']

/** A call that was given up may still be done by the database: no test has the ids of another. */
let ids = 0

interface Mortal { engine: Engine, sink: Sink, thaw: () => void }

/** A process that can be stopped anywhere, as by SIGSTOP: no call of it begins or ends until it is thawed. Never thawed, it is dead. */
function mortal (engine: Engine, watch: (call: string, freeze: () => void) => void): Mortal {
  let gate = Promise.resolve()
  let open = (): void => {}
  const freeze = (): void => { ({ promise: gate, resolve: open } = Promise.withResolvers<void>()) }
  type Call<Given extends unknown[], Result> = (...given: Given) => Promise<Result>
  const slow = <Given extends unknown[], Result>(name: string, call: Call<Given, Result>): Call<Given, Result> => async (...given) => {
    watch(name, freeze)
    await gate
    const result = await call(...given)
    watch(`after ${name}`, freeze)
    await gate
    return result
  }
  const { hold, release, announce, retire } = engine.leases
  const leases = { hold: slow('hold', hold), release: slow('release', release), announce: slow('announce', announce), retire: slow('retire', retire) }
  return {
    engine: Object.create(engine, { leases: { value: leases }, submit: { value: slow('submit', engine.submit) } }) as Engine,
    sink: withInbox(supabase(), ({ pending, confirm }) => ({ pending: slow('pending', pending), confirm: slow('confirm', confirm) })),
    thaw () { open() }
  }
}

async function leader (engine: Engine): Promise<string | null> {
  return await engine.connections.command.get(engine.keys.lease(0))
}

async function holds (persister: Persister): Promise<number> {
  return Number(/headway_persister_partitions (\d+)/.exec(await persister.meters.text())?.[1])
}

/** The first of two leads, and stops where it is told to; the second takes over. */
async function overtaken (t: Test, stopsAt: string): Promise<{ engine: Engine, job: string, thaw: () => void }> {
  await clear()
  const job = `taken-${ids++}`
  const engine = await startEngine(t, topology.url)
  let frozen = false
  const { engine: own, sink, thaw } = mortal(engine, (call, freeze) => {
    if (call !== stopsAt || frozen || !written) return
    frozen = true
    freeze()
  })
  let written = false
  const first = startPersister(t, own, sink, BY_LOOK)
  t.teardown(thaw) // or it could not stop
  await first.start()
  await until(async () => await holds(first) === engine.partitions)
  const name = await leader(engine)
  await write(job)
  written = true
  await until(() => frozen, { what: `it stops at ${stopsAt}` })
  await startPersister(t, engine, supabase(), BY_LOOK).start()
  await until(async () => await waiting() === 0, { what: 'the other one takes what waits' })
  t.not(await leader(engine), name)
  return { engine, job, thaw }
}

for (const stopsAt of ['after pending', 'submit', 'after submit', 'confirm']) {
  t.test(`stopped at "${stopsAt}" and never seen again`, async (t) => {
    const { engine, job } = await overtaken(t, stopsAt)
    t.same(await historyOf(engine, job), WRITTEN)
  })

  t.test(`stopped at "${stopsAt}", back after others did its work and more`, async (t) => {
    const { engine, job, thaw } = await overtaken(t, stopsAt)
    const other = `${job}-b`
    await insert(other)
    await tell(other, 'job.state', { state: 'running' })
    await until(async () => await waiting() === 0)
    thaw()
    await ask(other, 'pause')
    await until(async () => await waiting() === 0)
    await ask(other, 'resume')
    await until(async () => await waiting() === 0)
    t.same(await historyOf(engine, job), WRITTEN)
    t.same(await historyOf(engine, other), ['pending>running', 'running>pausing', 'pausing>running'])
  })
}

t.test('stopped with a pause in its hands, which the app takes back meanwhile: back, it does not pause', async (t) => {
  await clear()
  const engine = await startEngine(t, topology.url)
  const id = `taken-${ids++}`
  let stop = (): void => {}
  let frozen: number | null = null
  const { engine: own, sink, thaw } = mortal(engine, (_, freeze) => { stop = freeze })
  const first = startPersister(t, own, withInbox(sink, ({ pending }) => ({
    async pending (limit, signal) {
      const page = await pending(limit, signal)
      if (frozen !== null || !page.requests.some(({ requested_state: word }) => word === 'pause')) return page
      frozen = performance.now()
      stop()
      await pending(limit, signal)
      return page
    }
  })), BY_LOOK)
  t.teardown(thaw)
  await first.start()
  await insert(id)
  await tell(id, 'job.state', { state: 'running' })
  await until(async () => await waiting() === 0)
  await ask(id, 'pause')
  await until(() => frozen !== null)
  await ask(id, 'resume')
  await startPersister(t, engine, supabase(), BY_LOOK).start()
  await until(async () => await waiting() === 0)
  await until(() => performance.now() - (frozen ?? 0) > 1_100, { what: 'what it read is old' })
  thaw()
  await ask(id, 'cancel')
  await until(async () => await waiting() === 0)
  t.same(await historyOf(engine, id), ['pending>running', 'running>canceling'])
})

t.test('one that may not read what apps write gives its partitions away, and has its share again when that is mended', async (t) => {
  await clear()
  const engine = await startEngine(t, topology.url)
  let wrong = true
  const barred = withInbox(supabase(), ({ pending }) => ({
    async pending (limit, signal) {
      if (wrong) throw new SinkError('configuration', 'Invalid API key', { status: 401 })
      return await pending(limit, signal)
    }
  }))
  const spoken: Spoken[] = []
  const first = startPersister(t, engine, barred, BY_LOOK, spoken)
  await first.start()
  await until(() => first.meters.fault === 'configuration' && spoken.some(({ event }) => event === 'inbound_misconfigured'))
  await write('barred')
  const second = startPersister(t, engine, supabase(), BY_LOOK)
  await second.start()
  await until(async () => await waiting() === 0, { what: 'the other one takes it, though nothing stood in the outbox' })
  await until(async () => await holds(second) === 2 && await holds(first) === 0)
  t.same(await historyOf(engine, 'barred'), WRITTEN)
  wrong = false
  await until(async () => await holds(first) === 1 && await holds(second) === 1, { what: 'mended, it has its share again' })
  t.equal(first.meters.fault, null)
})

t.test('two at once all the time, leases too short to be of use: each row once', async (t) => {
  await clear()
  const engine = await startEngine(t, topology.url)
  for (let n = 0; n < 3; n++) await startPersister(t, engine, supabase(), { ...BY_LOOK, lease_ms: 3, inbound_rows_max: 7 }).start()
  const jobs = Array.from({ length: 12 }, (_, n) => `j${n}`)
  await Promise.all(jobs.map(write))
  await until(async () => await waiting() === 0, { timeout_ms: 30_000, what: 'nothing waits' })
  for (const job of jobs) t.same(await historyOf(engine, job), WRITTEN, job)
})
