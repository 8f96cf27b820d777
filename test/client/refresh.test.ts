// A token is told anew, in-band, before the old one ends.

import t from 'tap'
import { expiryOf } from '../../src/client/refresh.ts'
import { turn } from './fakes.ts'
import { live } from './support.ts'

const jwt = (exp: number | null): string => `h.${btoa(JSON.stringify({ name: 'ÿ>?', ...(exp === null ? {} : { exp }) })).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')}.s`
const inSeconds = (s: number): number => Math.floor(Date.now() / 1000) + s

t.test('when a token ends', async t => {
  t.equal(expiryOf(jwt(1234)), 1_234_000)
  for (const text of [jwt(null), 'no.such.token', '', 'a.b', 'tok']) t.equal(expiryOf(text), null, text)
})

t.test('a minute before the end another token is asked for and told', async t => {
  const world = { token: jwt(inSeconds(600)) }
  const { socket, clock } = await live({ getToken: () => world.token })
  await clock.pass(0)
  world.token = jwt(inSeconds(4000))
  t.equal(socket().last('authenticate'), undefined)
  socket().says({ type: 'pong', id: null, ts: 'x' })
  for (let s = 0; s < 545; s += 5) { // the line lives
    await clock.pass(5000)
    socket().says({ type: 'pong', id: null, ts: 'x' })
  }
  t.match(socket().sent.filter(({ action }) => action === 'authenticate'), [{ token: world.token }], 'once')
})

t.test('a token that the server refuses is no word about a watch', async t => {
  const world = { token: 'first' }
  const { client, socket } = await live({ getToken: () => world.token })
  const tenant = client.watchTenant()
  world.token = 'second'
  await client.refreshToken()
  const { id } = socket().last('authenticate') as { id?: string }
  socket().says({ type: 'error', id: id ?? null, code: 'token_expired', detail: 'The token has expired.' })
  t.equal(tenant.getSnapshot().error, null)
  client.close()
})

t.test('the application may say that there is another token; the same one is not told again', async t => {
  const world = { token: 'first' }
  const { client, socket } = await live({ getToken: () => world.token })
  await client.refreshToken()
  t.equal(socket().last('authenticate'), undefined)
  world.token = 'second'
  await client.refreshToken()
  t.match(socket().last('authenticate'), { token: 'second' })
  socket().end(1006)
  world.token = 'third'
  await client.refreshToken()
  await turn()
  t.equal(socket().sent.filter(({ action }) => action === 'authenticate').length, 1, 'nor to a socket that is gone')
})
