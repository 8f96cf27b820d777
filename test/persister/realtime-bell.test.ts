// The bell of Realtime, hung anew after each fault that is known of it, and never believed when it is deaf.

import { createClient } from '@supabase/supabase-js'
import t, { type Test } from 'tap'
import { createRealtimeStandIn, type RealtimeStandIn } from '../../src/demo/realtime-stand-in.ts'
import type { Doorbell } from '../../src/persister/inbox.ts'
import { createRealtimeBell, type RealtimeBellOptions } from '../../src/persister/realtime-bell.ts'
import { until } from '../support/wait.ts'
import { clear, postgres, realtime, rest, supabase, topology } from './inbound-support.ts'
import { startEngine, startPersister, type Spoken } from './support.ts'

let inserted = 0
const insert = async (): Promise<string> => {
  const id = `j${inserted++}`
  await postgres.query('insert into bulk_jobs (tenant_id, id) values ($1, $2)', ['acme', id])
  return id
}

interface Hung { bell: Doorbell, rings: number, reasons: string[] }

function hang (t: Test, options: Partial<RealtimeBellOptions> = {}): Hung {
  const hung = { rings: 0, reasons: [] } as unknown as Hung
  hung.bell = createRealtimeBell({ url: rest.url, key: rest.key, retry_first_ms: 5, retry_max_ms: 50, ...options }, {
    ring () { hung.rings++ },
    onRenewal (why) { hung.reasons.push(why) }
  })
  t.teardown(() => hung.bell.stop())
  hung.bell.start()
  return hung
}

const lives = async ({ bell }: Hung): Promise<unknown> => await until(() => bell.live, { what: 'the bell is live' })

/** After a fault: dead, hung anew, and it rings for what comes. */
async function survives (t: Test, hung: Hung, fault: (of: RealtimeStandIn) => void, why: RegExp): Promise<void> {
  await lives(hung)
  const { renewals } = hung.bell
  const before = hung.reasons.length
  fault(realtime)
  await until(() => hung.bell.renewals > renewals, { what: 'it is hung anew' })
  await lives(hung)
  t.match(hung.reasons[before], why) // others may follow where a machine is slow
  const { rings } = hung
  await insert()
  await until(() => hung.rings > rings, { what: 'it rings' })
}

t.test('a dead socket', async (t) => {
  await survives(t, hang(t), (of) => { of.killSockets() }, /CHANNEL_ERROR/)
})

t.test('a channel that crashed', async (t) => {
  await survives(t, hang(t), (of) => { of.crashChannels() }, /CHANNEL_ERROR/)
})

t.test('a channel closed without a reason, and one whose token expired', async (t) => {
  const hung = hang(t)
  await survives(t, hung, (of) => { of.closeChannels() }, /CLOSED/)
  await survives(t, hung, (of) => { of.closeChannels('Token has expired 3 seconds ago') }, /expired/)
})

t.test('a server that went silent', async (t) => {
  await survives(t, hang(t, { heartbeat_ms: 100, live_within_ms: 300 }), (of) => {
    of.faults.mute = true
    setTimeout(() => { of.faults.mute = false }, 300)
  }, /CHANNEL_ERROR/)
})

t.test('subscriptions that fail, sockets that are refused', async (t) => {
  realtime.faults.subscriptions_fail = 3
  const hung = hang(t)
  await lives(hung)
  t.match(hung.reasons, [/Unable to subscribe/, /Unable to subscribe/, /Unable to subscribe/])
  realtime.faults.refuse = 429
  realtime.killSockets()
  await until(() => hung.bell.renewals > 5)
  t.equal(hung.bell.live, false)
  realtime.faults.refuse = null
  await lives(hung)
})

t.test('joins that are never answered', async (t) => {
  realtime.faults.mute = true
  const hung = hang(t, { live_within_ms: 100 })
  await until(() => hung.bell.renewals > 1)
  t.match(hung.reasons[0], 'not live in time')
  realtime.faults.mute = false
  await lives(hung)
})

t.test('it leaves before its key\'s token ends; on that socket nobody could join any more', async (t) => {
  const strict = createRealtimeStandIn({
    database_url: postgres.url,
    jwt_secret: rest.jwt_secret,
    secret_key: rest.key,
    publishable_key: rest.publishable_key,
    key_ttl_ms: 400,
    refuse_after_ms: 1
  })
  await strict.start()
  t.teardown(() => strict.stop())
  const hung = hang(t, { url: strict.url })
  await lives(hung)
  await until(() => hung.bell.renewals > 0)
  t.match(hung.reasons[0], /Token has expired/)
  await lives(hung)
  const young = hang(t, { url: strict.url, age_max_ms: 150 })
  await until(() => young.bell.renewals > 2)
  t.ok(young.reasons.every((why) => why === 'age'), young.reasons.join())
})

t.test('rows that come without a ring: it is deaf, and is hung anew; the look had found them', async (t) => {
  await clear()
  const engine = await startEngine(t, topology.url)
  const spoken: Spoken[] = []
  await startPersister(t, engine, supabase(), { inbound_poll_ms: 50, inbound_grace_ms: 100 }, spoken).start()
  await until(() => realtime.listening > 0)
  realtime.faults.deaf = Infinity
  await until(async () => {
    const id = await insert()
    await until(async () => await engine.readJob('acme', id) !== null)
    return spoken.some(({ fields }) => (fields as { reason?: string }).reason === 'rows came without a ring')
  }, { interval_ms: 100 })
  realtime.faults.deaf = 0
})

t.test('stopped, nothing of it comes back', async (t) => {
  const hung = hang(t)
  await lives(hung)
  realtime.faults.refuse = 500
  realtime.killSockets()
  await until(() => hung.bell.renewals > 0)
  await hung.bell.stop()
  realtime.faults.refuse = null
  const other = createClient(rest.url, rest.key, { auth: { persistSession: false, autoRefreshToken: false } })
  t.equal((await other.from('bulk_jobs').select('id').limit(1)).error, null)
  t.equal(realtime.sockets, 0)
})
