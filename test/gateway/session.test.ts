// When the server ends a socket by itself, and how many it takes.

import { once } from 'node:events'
import t from 'tap'
import { createTokenBucket } from '../../src/gateway/token-bucket.ts'
import { Client, privateRedis, startGateway, tokenOf } from './support.ts'

// Each waits for a clock of its own.
t.jobs = 6
const redis = await privateRedis(t)

t.test('no token in time', async t => {
  const { url } = await startGateway(t, redis)
  const client = await new Client(`${url}/v1/ws`).open()
  t.match(await client.end(), { code: 4408 })
})

t.test('a bad token in the first message', async t => {
  const { url } = await startGateway(t, redis)
  const client = await new Client(`${url}/v1/ws`).open()
  client.say({ action: 'authenticate', token: 'nonsense', id: 'a' })
  t.match(await client.end(), { code: 4401 })
  t.match(client.messages, [{ type: 'error', id: 'a', code: 'unauthorized' }])
  const writer = await new Client(`${url}/v1/ws`).open()
  writer.say({ action: 'authenticate', token: await tokenOf({ scope: 'jobs:write' }), id: 'a' })
  t.match(await writer.end(), { code: 4403 })
})

t.test('a token that ends, and one that is refreshed in time', async t => {
  const { url } = await startGateway(t, redis)
  const ending = () => tokenOf({ expires_in_s: -58 })
  const [left, kept] = [await new Client(`${url}/v1/ws?token=${await ending()}`).open(), await new Client(`${url}/v1/ws?token=${await ending()}`).open()]
  kept.say({ action: 'authenticate', token: await tokenOf(), id: 'fresh' })
  t.match(await kept.answer('fresh'), { type: 'ack' })
  kept.say({ action: 'authenticate', token: 'nonsense', id: 'bad' })
  t.match(await kept.answer('bad'), { type: 'error', code: 'unauthorized' }, 'a refresh that fails changes nothing')
  t.match(await left.end(), { code: 4401 })
  kept.say({ action: 'ping', id: 'p' })
  t.match(await kept.answer('p'), { type: 'pong' })
  kept.socket.close()
})

t.test('pings: an answer keeps the socket, two missed end it', async t => {
  const { url } = await startGateway(t, redis, { HEADWAY_PING_INTERVAL_MS: '100' })
  const token = await tokenOf()
  const alive = await new Client(`${url}/v1/ws?token=${token}`).open()
  const dead = await new Client(`${url}/v1/ws?token=${token}`).open()
  Object.assign(dead.socket, { pong () {} })
  dead.socket.pause()
  for (let n = 0; n < 4; n++) await once(alive.socket, 'ping')
  dead.socket.resume()
  t.match(await dead.end(), { code: 1006 })
  t.equal(alive.closed, null)
  alive.socket.close()
})

t.test('more sockets than allowed', async t => {
  const { url } = await startGateway(t, redis, { HEADWAY_SOCKETS_MAX: '2' })
  const token = await tokenOf()
  const clients = [await new Client(`${url}/v1/ws?token=${token}`).open(), await new Client(`${url}/v1/ws?token=${token}`).open()]
  const refused = await new Client(`${url}/v1/ws?token=${token}`).refused()
  t.match(refused, { status: 503, body: { code: 'overloaded' }, headers: { 'retry-after': String } })
  clients[0]?.socket.close()
  await clients[0]?.end()
  const again = await new Client(`${url}/v1/ws?token=${token}`).open()
  again.socket.close()
  clients[1]?.socket.close()
})

t.test('the bucket', async t => {
  let now = 0
  const bucket = createTokenBucket({ per_s: 2, burst: 3, now: () => now })
  t.same([bucket.take(), bucket.take(), bucket.take(), bucket.take()], [true, true, true, false])
  now = 500
  t.same([bucket.take(), bucket.take()], [true, false])
  now = 60_000
  t.same([bucket.take(), bucket.take(), bucket.take(), bucket.take()], [true, true, true, false], 'never more than the burst')
})
