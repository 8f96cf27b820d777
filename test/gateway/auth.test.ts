// Who may come in: tokens, scopes and origins, by themselves and at every door.

import { createHmac, generateKeyPairSync } from 'node:crypto'
import { SignJWT, UnsecuredJWT } from 'jose'
import t from 'tap'
import { bearerOf, createAuth } from '../../src/gateway/auth.ts'
import { createOriginPolicy } from '../../src/gateway/origin.ts'
import { HeadwayError } from '../../src/protocol/errors.ts'
import { call, Client, privateRedis, SECRET, startGateway, tokenOf, WORKER_SCOPES } from './support.ts'

const KEY = new TextEncoder().encode(SECRET)
const NOW_S = Math.floor(Date.now() / 1_000)
const CLAIMS = { app_metadata: { tenant_id: 'acme' } }

function sign (claims: Record<string, unknown>, { alg = 'HS256', key = KEY }: { alg?: string, key?: Uint8Array } = {}) {
  return new SignJWT(claims).setProtectedHeader({ alg }).sign(key)
}

/** The confusion of algorithms: an HMAC made with the text of a public key. */
function signedWithPublicKey (): string {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 })
  const head = Buffer.from(JSON.stringify({ alg: 'HS256' })).toString('base64url')
  const body = Buffer.from(JSON.stringify(CLAIMS)).toString('base64url')
  const pem = publicKey.export({ type: 'spki', format: 'pem' })
  return `${head}.${body}.${createHmac('sha256', pem).update(`${head}.${body}`).digest('base64url')}`
}

/** Rightly signed, with any header and body. */
function signedByHand (head: unknown, body: unknown): string {
  const signed = [head, body].map(part => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  return `${signed}.${createHmac('sha256', KEY).update(signed).digest('base64url')}`
}

async function rsaToken (): Promise<string> {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 })
  return new SignJWT(CLAIMS).setProtectedHeader({ alg: 'RS256' }).sign(privateKey)
}

async function tampered (): Promise<string> {
  const [head, , signature] = (await sign(CLAIMS)).split('.')
  return `${head}.${Buffer.from(JSON.stringify({ app_metadata: { tenant_id: 'rival' } })).toString('base64url')}.${signature}`
}

const FORGED: Record<string, { token: string, code: string }> = {
  'nothing like a token': { token: 'hello', code: 'unauthorized' },
  empty: { token: '..', code: 'unauthorized' },
  'alg none': { token: new UnsecuredJWT(CLAIMS).encode(), code: 'unauthorized' },
  'another key': { token: await sign(CLAIMS, { key: new TextEncoder().encode('x'.repeat(40)) }), code: 'unauthorized' },
  'HS512 with the right key': { token: await sign(CLAIMS, { alg: 'HS512', key: KEY }), code: 'unauthorized' },
  'an extension that must be understood': { token: signedByHand({ alg: 'HS256', crit: ['b64'], b64: false }, CLAIMS), code: 'unauthorized' },
  'alg none with a signature': { token: signedByHand({ alg: 'none' }, CLAIMS), code: 'unauthorized' },
  'a body that is no object': { token: signedByHand({ alg: 'HS256' }, [CLAIMS]), code: 'unauthorized' },
  'four parts': { token: `${signedByHand({ alg: 'HS256' }, CLAIMS)}.x`, code: 'unauthorized' },
  'a signature with more behind it': { token: `${signedByHand({ alg: 'HS256' }, CLAIMS)}=`, code: 'unauthorized' },
  'nbf that is no number': { token: signedByHand({ alg: 'HS256' }, { ...CLAIMS, nbf: 'soon' }), code: 'unauthorized' },
  RS256: { token: await rsaToken(), code: 'unauthorized' },
  'HS256 made with a public key': { token: signedWithPublicKey(), code: 'unauthorized' },
  'another body under the signature': { token: await tampered(), code: 'unauthorized' },
  expired: { token: await tokenOf({ expires_in_s: -61 }), code: 'token_expired' },
  'not valid yet': { token: await sign({ ...CLAIMS, nbf: NOW_S + 600 }), code: 'unauthorized' },
  'exp that is no number': { token: await sign({ ...CLAIMS, exp: 'tomorrow' } as Record<string, unknown>), code: 'unauthorized' },
  'no tenant': { token: await sign({ sub: 'user' }), code: 'forbidden' },
  'tenant in user_metadata, which users edit': { token: await sign({ user_metadata: { tenant_id: 'acme' } }), code: 'forbidden' },
  'tenant that is no identifier': { token: await sign({ app_metadata: { tenant_id: 'a/b' } }), code: 'forbidden' },
  'tenant from the prototype': { token: await sign({ app_metadata: 'x' }), code: 'forbidden' },
  'no scope to read': { token: await sign({ ...CLAIMS, scope: 'jobs:control' }), code: 'forbidden' },
  'scope of another form': { token: await sign({ ...CLAIMS, scope: ['jobs:read'] }), code: 'forbidden' }
}

t.test('what a token says', async t => {
  const auth = createAuth({ jwt_secret: SECRET, tenant_claim: 'app_metadata.tenant_id', user_scopes: ['jobs:read'] })
  const plain = await auth.verify(await sign({ ...CLAIMS, exp: NOW_S + 10 }))
  t.equal(plain.tenant_id, 'acme')
  t.same([...plain.scopes], ['jobs:read'])
  t.equal(plain.expires_at, (NOW_S + 10 + 60) * 1_000)
  t.same([...(await auth.verify(await sign({ ...CLAIMS, scope: 'jobs:write jobs:control' }))).scopes], ['jobs:write', 'jobs:control'])
  t.equal((await auth.verify(await sign(CLAIMS))).expires_at, null)
  t.equal((await auth.verify(await tokenOf({ expires_in_s: -50 }))).tenant_id, 'acme', '60 s of leeway')
  const bySub = createAuth({ jwt_secret: SECRET, tenant_claim: 'sub', user_scopes: [] })
  t.equal((await bySub.verify(await sign({ sub: 'user-1' }))).tenant_id, 'user-1')
  const error = await auth.verify(FORGED['another key']?.token ?? '').catch((thrown: unknown) => thrown)
  t.ok(error instanceof HeadwayError && error.cause === undefined, 'no cause, which might hold claims')
})

t.test('the Authorization header', async t => {
  t.equal(bearerOf('Bearer abc'), 'abc')
  t.equal(bearerOf('bearer  abc '), 'abc')
  for (const header of [undefined, '', 'Basic abc', 'Bearer', 'Bearer a b', 'abc']) t.equal(bearerOf(header), null, String(header))
})

t.test('origins', async t => {
  const own = createOriginPolicy([])
  const listed = createOriginPolicy(['https://app.example.com'])
  const cases: [boolean, string, string | undefined, string][] = [
    [true, 'no browser', undefined, 'h:8765'],
    [true, 'the same', 'http://h:8765', 'h:8765'],
    [true, 'TLS before the gateway', 'https://h', 'h'],
    [true, 'a default port spelt out', 'https://h', 'h:443'],
    [false, 'another port', 'http://h:1', 'h:8765'],
    [false, 'null', 'null', 'null'],
    [false, 'nonsense', 'h', 'h'],
    [false, 'another scheme', 'file://h', 'h'],
    [false, 'a suffix of ours', 'https://evil-h', 'h'],
    [false, 'ours as a subdomain', 'https://h.evil.example', 'h']
  ]
  for (const [permitted, why, origin, host] of cases) t.equal(own.permits(origin, host), permitted, why)
  t.ok(listed.permits('https://app.example.com', 'h'))
  t.notOk(listed.permits('https://app.example.com.evil.example', 'h'))
  t.notOk(listed.permits('http://app.example.com', 'h'), 'the scheme counts in a list')
  t.ok(createOriginPolicy(['*']).permits('https://any.example', 'h'))
  t.notOk(createOriginPolicy(['*']).permits('null', 'h'))
})

t.test('at the doors', async t => {
  const redis = await privateRedis(t)
  const { url, logged } = await startGateway(t, redis, { HEADWAY_ALLOWED_ORIGINS: 'https://app.example.com' })
  const worker = await tokenOf({ scope: WORKER_SCOPES })
  await call(`${url}/v1/jobs`, 'POST', worker, { id: 'j', items_total: 1, title: 'secret title' })

  await t.test('every forged token at HTTP and at the handshake', async t => {
    for (const [what, { token, code }] of Object.entries(FORGED)) {
      const status = code === 'forbidden' ? 403 : 401
      const http = await call(`${url}/v1/jobs/j`, 'GET', token)
      t.match(http, { status, body: { code } }, `HTTP: ${what}`)
      t.equal(http.headers.get('www-authenticate'), status === 401 ? 'Bearer' : null)
      const socket = await new Client(`${url}/?job_id=j&token=${token}`).refused()
      t.match(socket, { status, body: { code } }, `socket: ${what}`)
      t.notMatch(JSON.stringify([http.body, socket.body]), /secret title/)
    }
  })

  await t.test('no token, no data', async t => {
    for (const path of ['/v1/jobs', '/v1/jobs/j', '/v1/jobs/j/items', '/v1/jobs/absent']) {
      t.match(await call(url + path, 'GET', null), { status: 401, body: { code: 'unauthorized' } }, path)
    }
    t.match(await call(`${url}/v1/jobs`, 'POST', null, 'not even json'), { status: 401 }, 'asked before the body is read')
    t.match(await call(`${url}/v1/jobs/j?token=${worker}`, 'GET', null), { status: 401 }, 'the query is for sockets')
  })

  await t.test('scopes', async t => {
    const reader = await tokenOf({ scope: 'jobs:read' })
    t.match(await call(`${url}/v1/jobs/j`, 'GET', reader), { status: 200 })
    t.match(await call(`${url}/v1/jobs/j/control`, 'POST', reader, { action: 'pause' }), { status: 403, body: { code: 'forbidden' } })
    const user = await tokenOf()
    t.match(await call(`${url}/v1/jobs/j/state`, 'POST', user, { state: 'running' }), { status: 403 })
    const client = await new Client(`${url}/?job_id=j&token=${reader}`).open()
    client.say({ action: 'cancel', job_id: 'j', id: 'c' })
    t.match(await client.answer('c'), { type: 'error', code: 'forbidden' })
    t.match(await call(`${url}/v1/jobs/j`, 'GET', reader), { body: { state: 'pending' } })
    client.socket.close()
  })

  await t.test('every way to bring a token', async t => {
    const token = await tokenOf()
    const ways = [
      new Client(`${url}/?job_id=j&token=${token}`),
      new Client(`${url}/v1/ws?job_id=j`, ['headway.v1', `bearer.${token}`]),
      new Client(`${url}/v1/ws?job_id=j`, [], { authorization: `Bearer ${token}` }),
      new Client(`${url}/v1/ws?job_id=j`)
    ]
    for (const client of ways) await client.open()
    ways[3]?.say({ action: 'subscribe', job_id: 'j', id: 'early' })
    t.match(await ways[3]?.answer('early'), { type: 'error', code: 'unauthorized' })
    ways[3]?.say({ action: 'authenticate', token, id: 'a' })
    t.match(await ways[3]?.answer('a'), { type: 'ack', action: 'authenticate' })
    for (const client of ways) {
      t.match(await client.of('job.snapshot'), { job_id: 'j' })
      client.socket.close()
    }
    t.equal(ways[1]?.socket.protocol, 'headway.v1')
  })

  await t.test('origins at the handshake and in CORS', async t => {
    const token = await tokenOf()
    for (const origin of ['https://evil.example', 'null', 'https://app.example.com.evil.example']) {
      t.match(await new Client(`${url}/?job_id=j&token=${token}`, [], { origin }).refused(), { status: 403, body: { code: 'forbidden' } }, origin)
    }
    for (const origin of ['https://app.example.com', url]) {
      const client = await new Client(`${url}/?job_id=j&token=${token}`, [], { origin }).open()
      client.socket.close()
    }
    const read = (origin: string) => fetch(`${url}/v1/jobs/j`, { headers: { origin, authorization: `Bearer ${token}` } })
    t.equal((await read('https://app.example.com')).headers.get('access-control-allow-origin'), 'https://app.example.com')
    const foreign = await read('https://evil.example')
    t.equal(foreign.headers.get('access-control-allow-origin'), null)
    t.equal(foreign.headers.get('vary'), 'origin')
    const preflight = (origin: string) => fetch(`${url}/v1/jobs`, { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'POST' } })
    t.match(await preflight('https://app.example.com'), { status: 204 })
    t.match((await preflight('https://app.example.com')).headers.get('access-control-allow-headers'), /authorization/)
    t.equal((await preflight('https://evil.example')).status, 403)
  })

  await t.test('no token and no query string in any log line', async t => {
    const all = logged.join('')
    t.ok(logged.length > 0)
    for (const { token } of Object.values(FORGED)) t.notOk(token.length > 10 && all.includes(token))
    t.notMatch(all, /token=|bearer\./i)
  })
})
