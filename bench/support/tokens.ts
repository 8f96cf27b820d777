// A token for each socket, signed by hand: a benchmark needs thousands of different ones.

import { createHmac } from 'node:crypto'
import { SECRET, TENANT } from './server.ts'

const HEADER = encode({ alg: 'HS256', typ: 'JWT' })
const LIFETIME_S = 3_600

function encode (value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

export function tokenFor (subject: string): string {
  const now = Math.floor(Date.now() / 1000)
  const claims = { sub: subject, scope: 'jobs:read', app_metadata: { tenant_id: TENANT }, iat: now, exp: now + LIFETIME_S }
  const signed = `${HEADER}.${encode(claims)}`
  return `${signed}.${createHmac('sha256', SECRET).update(signed).digest('base64url')}`
}

/** Request paths of `sockets` sockets, each with a token of its own, dealt out to the jobs in turn. */
export function headwayPaths (jobs: readonly string[], sockets: number): string[] {
  return Array.from({ length: sockets }, (_, n) => `/?job_id=${jobs[n % jobs.length]}&token=${tokenFor(`user_${n}`)}`)
}
