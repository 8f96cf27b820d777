// Tokens by public keys: whose count, at every door, while keys change and while nobody hands them out.

import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, exportSPKI, generateKeyPair, SignJWT } from 'jose'
import t, { type Test } from 'tap'
import { createAuth } from '../../src/gateway/auth.ts'
import { createVerifyByKeys } from '../../src/gateway/jwks.ts'
import { call, Client, privateRedis, SECRET, startGateway, tokenOf, WORKER_SCOPES } from './support.ts'

const CLAIMS = { sub: 'user', role: 'authenticated', app_metadata: { tenant_id: 'acme' } }

async function keyOf (kid: string, alg: string) {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
  return {
    jwk: { ...await exportJWK(publicKey), kid, alg, use: 'sig' },
    pem: publicKey,
    sign: (claims: Record<string, unknown> = CLAIMS) => new SignJWT(claims).setProtectedHeader({ alg, kid }).sign(privateKey)
  }
}

/** @returns an address that hands out keys, and how often it was asked */
async function keyServer (t: Test, keys: object[]) {
  const state = { asked: 0, status: 200, keys }
  const server = createServer((_request, response) => {
    state.asked++
    response.writeHead(state.status, { 'content-type': 'application/json' }).end(JSON.stringify({ keys: state.keys }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return Object.assign(state, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json` })
}

t.test('tokens of each algorithm, and those of the secret as before', async t => {
  const keys = await Promise.all(['ES256', 'RS256', 'EdDSA'].map(alg => keyOf(alg, alg)))
  const { url } = await keyServer(t, keys.map(({ jwk }) => jwk))
  const auth = createAuth({ jwt_secret: SECRET, jwks_url: url, tenant_claim: 'app_metadata.tenant_id', user_scopes: ['jobs:read'] })
  for (const key of keys) t.match(await auth.verify(await key.sign()), { tenant_id: 'acme' }, key.jwk.kid)
  t.match(await auth.verify(await tokenOf()), { tenant_id: 'acme' })
  const [key] = keys
  await t.rejects(auth.verify(await key!.sign({ ...CLAIMS, exp: 1 })), { code: 'token_expired' })
  await t.rejects(auth.verify(await key!.sign({ sub: 'user' })), { code: 'forbidden' })
  const without = createAuth({ jwt_secret: SECRET, tenant_claim: 'app_metadata.tenant_id', user_scopes: [] })
  await t.rejects(without.verify(await key!.sign()), { code: 'unauthorized' }, 'only where keys are named')
})

t.test('forged ones', async t => {
  const known = await keyOf('known', 'RS256')
  const stranger = await keyOf('known', 'RS256')
  const server = await keyServer(t, [known.jwk])
  const verify = createVerifyByKeys({ url: server.url })
  t.match(await verify(await known.sign()), CLAIMS)
  t.equal(await verify(await stranger.sign()), null, 'another key under the same name')
  const [head, , signature] = (await known.sign()).split('.')
  t.equal(await verify(`${head}.${Buffer.from('{"app_metadata":{"tenant_id":"rival"}}').toString('base64url')}.${signature}`), null)
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  t.equal(await verify(`${part({ alg: 'none', kid: 'known' })}.${part(CLAIMS)}.`), null)
  const signed = `${part({ alg: 'HS256', kid: 'known' })}.${part(CLAIMS)}`
  const confused = `${signed}.${createHmac('sha256', await exportSPKI(known.pem)).update(signed).digest('base64url')}`
  t.equal(await verify(confused), null, 'a public key is no secret')
  for (const text of ['', 'hello', '..', 'a.b.c']) t.equal(await verify(text), null, text)
  const before = server.asked
  const unknown = await keyOf('invented', 'ES256')
  for (let n = 0; n < 5; n++) t.equal(await verify(await unknown.sign()), null)
  t.equal(server.asked, before, 'invented keys do not make it fetch again and again')
})

t.test('keys change: a new one is found; those that are known count while nobody answers', async t => {
  const [old, next] = [await keyOf('old', 'ES256'), await keyOf('next', 'ES256')]
  const server = await keyServer(t, [old.jwk])
  const verify = createVerifyByKeys({ url: server.url, cooldown_ms: 0 })
  t.match(await verify(await old.sign()), CLAIMS)
  server.keys = [old.jwk, next.jwk]
  t.match(await verify(await next.sign()), CLAIMS)
  server.status = 503
  t.match(await verify(await old.sign()), CLAIMS)
  await t.rejects(createVerifyByKeys({ url: server.url })(await old.sign()), { code: 'overloaded' }, 'without any it says to come again, not that the token is wrong')
  await t.rejects(createVerifyByKeys({ url: 'http://127.0.0.1:1/' })(await old.sign()), { code: 'overloaded' })
})

t.test('at the doors of a gateway: HTTP and WebSocket', async t => {
  const redis = await privateRedis(t)
  const key = await keyOf('a', 'ES256')
  const { url: jwks } = await keyServer(t, [key.jwk])
  const { url } = await startGateway(t, redis, { HEADWAY_JWKS_URL: jwks })
  const token = await key.sign({ ...CLAIMS, exp: Math.floor(Date.now() / 1000) + 600 })
  await call(`${url}/v1/jobs`, 'POST', await tokenOf({ scope: WORKER_SCOPES }), { id: 'j', items_total: 1 })
  t.equal((await call(`${url}/v1/jobs/j`, 'GET', token)).status, 200)
  const client = await new Client(`${url}/?job_id=j&token=${token}`).open()
  t.match(await client.of('job.snapshot'), { job_id: 'j' })
  const { url: away } = await startGateway(t, redis, { HEADWAY_JWKS_URL: 'http://127.0.0.1:1/' })
  const refused = await call(`${away}/v1/jobs/j`, 'GET', token)
  t.match(refused, { status: 503, body: { code: 'overloaded' } })
  t.ok(refused.headers.get('retry-after'))
})
