// When the server ends a socket by itself, and how many it takes.

import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import t from 'tap'
import type { Hub } from '../../src/gateway/hub.ts'
import { createPost } from '../../src/gateway/post.ts'
import { createTally } from '../../src/gateway/tally.ts'
import { Session } from '../../src/gateway/session.ts'
import { TokenBucket } from '../../src/gateway/token-bucket.ts'
import { call, Client, privateRedis, startGateway, tokenOf, WORKER_SCOPES } from './support.ts'

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

t.test('what follows an authenticate at once waits for it, in order', async t => {
  const { url } = await startGateway(t, redis)
  await call(`${url}/v1/jobs`, 'POST', await tokenOf({ scope: WORKER_SCOPES }), { id: 'j', items_total: 1 })
  const client = await new Client(`${url}/v1/ws`).open()
  client.say({ action: 'authenticate', token: await tokenOf(), id: '1' })
  client.say({ action: 'ping', id: '2' })
  client.say({ action: 'authenticate', token: await tokenOf(), id: '3' })
  client.say({ action: 'ping', id: '4' })
  client.say({ action: 'subscribe', job_id: 'j', id: '5' })
  t.match(await client.of('job.snapshot'), { job_id: 'j' })
  t.same(client.messages.slice(0, 5).map(({ type, id }) => `${type} ${String(id)}`), ['ack 1', 'pong 2', 'ack 3', 'pong 4', 'ack 5'])
  client.socket.close()
  const stranger = await new Client(`${url}/v1/ws`).open()
  stranger.say({ action: 'authenticate', token: 'nonsense', id: '1' })
  stranger.say({ action: 'ping', id: '2' })
  t.match(await stranger.end(), { code: 4401 })
  t.same(stranger.messages.map(({ id }) => id), ['1'], 'nothing is done for a token that is refused')
})

t.test('a socket that goes while its token is looked at watches nothing', async t => {
  let joins = 0
  const identity = { tenant_id: 'acme', scopes: new Set(['jobs:read']), expires_at: null, user_token: null }
  const session = new Session({
    hub: {} as Hub,
    join () {
      joins++
      return { leave () {}, resume () {} }
    },
    auth: { verify: async () => identity },
    messages: { per_s: 1, burst: 1 },
    post: createPost(createTally()),
    queue_bytes_max: 262_144,
    behind_ms_max: 30_000,
    ping_interval_ms: 1_000,
    subscriptions_max: 1,
    onMessage () {},
    onClosed () {},
    onIdentified () {},
    onRefused () {}
  }, null)
  const authenticated = session.authenticate('token')
  session.left(1006)
  await authenticated
  await t.rejects(session.subscribe('j'), { code: 'closed' })
  t.equal(joins, 0)
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
  const { url, logged } = await startGateway(t, redis, { HEADWAY_SOCKETS_MAX: '2' })
  const token = await tokenOf()
  const clients = [await new Client(`${url}/v1/ws?token=${token}`).open(), await new Client(`${url}/v1/ws?token=${token}`).open()]
  const refused = await new Client(`${url}/v1/ws?token=${token}`).refused()
  t.match(refused, { status: 503, body: { code: 'overloaded' }, headers: { 'retry-after': String } })
  t.notOk(logged.some(line => line.includes('request_failed')), 'in a storm that would be a line each')
  clients[0]?.socket.close()
  await clients[0]?.end()
  const again = await new Client(`${url}/v1/ws?token=${token}`).open()
  again.socket.close()
  clients[1]?.socket.close()
})

t.test('a port that is taken is named with its setting', async t => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.teardown(() => { taken.close() })
  const port = String((taken.address() as AddressInfo).port)
  for (const name of ['WEBSOCKET_PORT', 'HEADWAY_INTERNAL_PORT']) {
    const error = await startGateway(t, redis, { [name]: port }).catch((thrown: unknown) => thrown)
    t.match(error, { name: 'HeadwayError', code: 'invalid_config', temporary: false, message: new RegExp(`${port}.*${name}`) })
  }
})

t.test('the bucket', async t => {
  let now = 0
  const bucket = new TokenBucket({ per_s: 2, burst: 3, now: () => now })
  t.same([bucket.take(), bucket.take(), bucket.take(), bucket.take()], [true, true, true, false])
  now = 500
  t.same([bucket.take(), bucket.take()], [true, false])
  now = 60_000
  t.same([bucket.take(), bucket.take(), bucket.take(), bucket.take()], [true, true, true, false], 'never more than the burst')
})

t.test('a subscribe that is overtaken before its first message has an answer too', async t => {
  const { url } = await startGateway(t, redis)
  const client = await new Client(`${url}/v1/ws?token=${await tokenOf()}`).open()
  client.say({ action: 'subscribe', job_id: 'later', wait_ms: 60_000, id: 's1' })
  client.say({ action: 'subscribe', job_id: 'later', wait_ms: 60_000, id: 's2' })
  t.match(await client.answer('s1'), { type: 'error', code: 'closed', job_id: 'later' })
  client.say({ action: 'unsubscribe', job_id: 'later', id: 'u' })
  t.match(await client.answer('s2'), { type: 'error', code: 'closed' })
  t.match(await client.answer('u'), { type: 'ack' })
  client.socket.close()
})
