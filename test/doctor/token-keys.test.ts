// headway doctor on the public keys of tokens: there, not there, and not of a kind that counts.

import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair } from 'jose'
import t from 'tap'
import { loadConfig } from '../../src/config/load.ts'
import { examineTokenKeys } from '../../src/doctor/token-keys.ts'
import { foundOf, SECRET, troubles } from './support.ts'

const answer = { status: 200, body: '' }
const server = createServer((_request, response) => { response.writeHead(answer.status).end(answer.body) })
server.listen(0, '127.0.0.1')
await once(server, 'listening')
t.teardown(() => {
  server.closeAllConnections()
  server.close()
})
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`
const look = async (address = url) => await examineTokenKeys(loadConfig({ HEADWAY_JWT_SECRET: SECRET, HEADWAY_JWKS_URL: address }))
const publicJwk = async (alg: string) => await exportJWK((await generateKeyPair(alg)).publicKey)

t.test('keys that count are told by kind, and nothing where none are wanted', async t => {
  t.same(await look(''), [])
  answer.body = JSON.stringify({ keys: await Promise.all(['ES256', 'ES256', 'RS256', 'EdDSA', 'ES384'].map(publicJwk)) })
  t.same(foundOf(await look(), 'jwks'), ['ok: 4 public keys of tokens: ES256, RS256, EdDSA'])
})

t.test('what is wrong is named', async t => {
  answer.body = '{"keys":[]}'
  t.match(troubles(await look()), [/^warning jwks: HEADWAY_JWKS_URL holds 0 keys/])
  answer.body = JSON.stringify({ keys: [await publicJwk('ES384'), null] })
  t.match(troubles(await look()), [/^warning jwks: HEADWAY_JWKS_URL holds 2 keys, none for/])
  answer.body = '[]'
  t.match(troubles(await look()), [/^problem jwks: HEADWAY_JWKS_URL holds no set of keys/])
  answer.body = 'hello'
  t.match(troubles(await look()), [/^problem jwks: HEADWAY_JWKS_URL cannot be fetched: .*JSON/])
  answer.status = 404
  t.match(troubles(await look()), [/^problem jwks: HEADWAY_JWKS_URL answers 404/])
  t.match(troubles(await look('http://127.0.0.1:1/')), [/^problem jwks: HEADWAY_JWKS_URL cannot be fetched/])
})
