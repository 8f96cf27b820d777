// A machine that has lost its power, or its network, says no goodbye: the line stays open and brings nothing.

import { once } from 'node:events'
import { type AddressInfo, connect as dial, createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { connect, NO_LOG } from '../../src/engine/connections.ts'
import { createKeys } from '../../src/engine/keys.ts'
import { createWake } from '../../src/engine/wake.ts'
import { startRedis } from '../support/redis.ts'
import { until } from '../support/wait.ts'

/** Connections through a machine that can be silenced. */
async function setUp (t: Test) {
  const redis = await startRedis()
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = dial(redis.port, '127.0.0.1')
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => {})
    }
    near.pipe(far).pipe(near)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const connections = connect(`redis://127.0.0.1:${(server.address() as AddressInfo).port}`)
  t.teardown(async () => {
    connections.close()
    for (const socket of sockets) socket.destroy()
    server.close()
    await redis.stop()
  })
  return { connections, sockets, silence () { for (const socket of sockets) socket.unpipe().pause() } }
}

t.test('a line that went silent is given up for another one, while commands fail in time', async (t) => {
  const { connections, sockets, silence } = await setUp(t)
  t.equal(await connections.command.ping(), 'PONG')
  const silenced = sockets.size
  silence()
  await t.rejects(connections.command.ping(), /timed out/i)
  await until(() => connections.command.ping().then(() => true, () => false), { what: 'another line', timeout_ms: 20_000 })
  t.ok(sockets.size > silenced)
})

t.test('who waits in Redis on a silent line waits on another one', async (t) => {
  const { connections, silence } = await setUp(t)
  let answered = 0
  const wake = createWake({
    connections,
    keys: createKeys('hw', 1),
    log: NO_LOG,
    async reduceNext (_partition, redis) {
      await redis.call('BLPOP', 'nothing', '0.1')
      answered++
      return true
    }
  })
  t.teardown(() => wake.stop())
  wake.start()
  await until(() => answered > 0)
  silence()
  const before = answered
  await until(() => answered > before + 1, { what: 'it waits on another line', timeout_ms: 40_000 })
})
