// Subscriber connections that fall silent, end, or lose a slot, on each topology: the process finds out, says so, and hears again.

import { once } from 'node:events'
import { connect as dial, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import t from 'tap'
import type { Test } from 'tap'
import type { Cluster, Redis } from 'ioredis'
import { connect, NO_LOG } from '../../src/engine/connections.ts'
import type { Connections, RedisClient } from '../../src/engine/connections.ts'
import { createEngine } from '../../src/engine/engine.ts'
import { createFeed } from '../../src/engine/feed.ts'
import { onEachTopology, randomPrefix } from '../support/topology.ts'
import type { Topology } from '../support/topology.ts'
import { until } from '../support/wait.ts'

const PARTITIONS = 8
/** Long enough for a slow machine: an echo that is late is deafness too. */
const PROBE = { interval_ms: 50, echo_ms: 1_000 }

/** Before a Redis: `stall` lets subscribers' connections stand as they are, and nothing pass, as when a machine on the way is gone. */
async function proxy (t: Test, port: number) {
  const subscribers = new Set<Socket>()
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = dial(port, '127.0.0.1')
    for (const [from, to] of [[near, far], [far, near]] as const) {
      sockets.add(from)
      from.on('error', () => {})
      from.on('close', () => to.destroy())
      from.on('data', (bytes) => {
        if (from === near && /subscribe/i.test(String(bytes))) subscribers.add(near).add(far)
        to.write(bytes)
      })
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stall () { for (const socket of subscribers) socket.pause() }
  }
}

/** An engine that speaks, and a feed whose subscriber clients the test gets hold of. */
async function setUp (t: Test, topology: Topology, url = topology.url) {
  const speaking = createEngine({ redis_url: topology.url, prefix: randomPrefix(), partitions: PARTITIONS })
  await speaking.start()
  const real = connect(url)
  const opened: RedisClient[] = []
  const connections: Connections = {
    ...real,
    open (options) {
      const client = real.open(options)
      opened.push(client)
      return client
    }
  }
  const logged: string[] = []
  const log = { ...NO_LOG, warn: (fields: object) => { logged.push((fields as { event: string }).event) } }
  const feed = createFeed({ connections, keys: speaking.keys, log, probe: PROBE })
  await feed.start()
  t.teardown(async () => {
    feed.stop()
    real.close()
    await speaking.stop()
  })
  const ids = Array.from({ length: 12 }, (_, n) => `job_${n}`)
  const heard = new Map<string, number>()
  for (const id of ids) {
    await feed.subscribe('acme', id, () => { heard.set(id, (heard.get(id) ?? 0) + 1) })
    await speaking.submit({ type: 'job.register', tenant: 'acme', job: id, data: { items_total: 1, state: 'running' } })
  }
  let said = 0
  const hearsAll = async (): Promise<void> => {
    heard.clear()
    await Promise.all(ids.map((id) => speaking.submit({
      type: 'job.state', tenant: 'acme', job: id, data: { state: 'rate_limited', retry_at: Date.now() + 60_000 + said++ }
    })))
    await until(() => heard.size === ids.length, { what: 'every job is heard' })
  }
  let interruptions = 0
  feed.onInterrupted(() => { interruptions++ })
  const channels = ids.map((id) => speaking.keys.job('acme', id).key)
  return { speaking, feed, connections, opened, logged, hearsAll, interruptions: () => interruptions, channels }
}

t.test('silence', async (t) => {
  await onEachTopology(t, async (t, topology) => {
    await t.test('subscriptions that are lost without a word are found out and made anew', async (t) => {
      const { speaking, feed, opened, logged, channels, hearsAll, interruptions } = await setUp(t, topology)
      t.equal(feed.hearing(), true)
      await hearsAll()
      t.equal(interruptions(), 0)
      const [client] = opened
      const nodes = topology.cluster === null ? [topology.redis as Redis] : topology.cluster.primaries.map((node) => node.redis)
      const kind = topology.cluster === null ? 'CHANNELS' : 'SHARDCHANNELS'
      const names = (await Promise.all(nodes.map((node) => node.call('PUBSUB', kind, `${speaking.keys.prefix}:*`) as Promise<string[]>))).flat()
      t.ok(channels.every((name) => names.includes(name)))
      for (const name of names) {
        await (topology.cluster === null ? (client as Redis).unsubscribe(name) : (client as Cluster).sunsubscribe(name))
      }
      await until(() => !feed.hearing(), { what: 'it is deaf' })
      await until(() => interruptions() > 0 && feed.hearing(), { what: 'it hears again' })
      t.ok(logged.includes('feed_deaf'))
      t.ok(opened.length > 1)
      await hearsAll()
    })

    await t.test('a connection on which nothing passes any more is replaced', { skip: topology.server === null }, async (t) => {
      const { url, stall } = await proxy(t, topology.server?.port ?? 0)
      const { feed, hearsAll, interruptions } = await setUp(t, topology, url)
      await hearsAll()
      stall()
      const late = feed.subscribe('acme', 'late', () => {})
      await until(() => !feed.hearing(), { what: 'it is deaf' })
      await until(() => interruptions() > 0 && feed.hearing(), { what: 'it hears again' })
      await hearsAll()
      await late
    })

    await t.test('a client that ended for good is replaced', async (t) => {
      const { feed, opened, hearsAll, interruptions } = await setUp(t, topology)
      opened[0]?.disconnect()
      await until(() => interruptions() > 0 && feed.hearing(), { what: 'it hears again' })
      await hearsAll()
    })

    await t.test('a subscription that waits when the client is replaced is confirmed by the next one', async (t) => {
      const { feed, opened, speaking, interruptions } = await setUp(t, topology)
      opened[0]?.disconnect()
      let heard = 0
      const confirmed = feed.subscribe('acme', 'late', () => { heard++ })
      await until(() => interruptions() > 0)
      await confirmed
      await speaking.submit({ type: 'job.register', tenant: 'acme', job: 'late', data: { items_total: 1 } })
      await until(() => heard === 1)
    })

    await t.test('after stop nothing is made anew', async (t) => {
      const { feed, opened } = await setUp(t, topology)
      feed.stop()
      const ended = new Promise((resolve) => opened[0]?.once('end', resolve))
      opened[0]?.disconnect()
      await ended
      t.equal(opened.length, 1)
    })

    await t.test('a slot with another owner interrupts, and its jobs are heard from there', { skip: topology.cluster === null }, async (t) => {
      const { speaking, feed, hearsAll, interruptions } = await setUp(t, topology)
      const cluster = topology.cluster as NonNullable<typeof topology.cluster>
      const slot = speaking.keys.slot(3)
      t.equal(slot, await topology.redis.cluster('KEYSLOT', speaking.keys.partition(3).ingest))
      const home = await cluster.ownerOf(slot)
      await cluster.moveSlot(slot, (home + 1) % 3)
      await until(() => interruptions() > 0, { what: 'the move is noticed' })
      await until(() => feed.hearing())
      await hearsAll()
      const before = interruptions()
      await cluster.moveSlot(slot, home)
      await until(() => interruptions() > before, { what: 'the move back is noticed' })
      await hearsAll()
    })

    await t.test('Redis away is not deafness, and both are over when it is back', { skip: topology.server === null }, async (t) => {
      const { feed, connections, hearsAll, interruptions } = await setUp(t, topology)
      const { server } = topology as { server: NonNullable<typeof topology.server> }
      let away = false
      process.kill(server.pid, 'SIGSTOP')
      try {
        const refused = connections.command.ping().catch(() => { away = true })
        await until(() => away || !feed.hearing(), { what: 'a command fails' })
        t.equal(feed.hearing(), true)
        await refused
      } finally {
        process.kill(server.pid, 'SIGCONT')
      }
      await until(() => feed.hearing())
      t.equal(interruptions(), 0)
      await hearsAll()
    })
  })
})
