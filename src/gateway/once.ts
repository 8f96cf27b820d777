// Idempotency-Key on POST: a worker that heard no answer sends the same again and gets what came of the first, not a second effect.
// What was refused for its form, or failed for a reason that passes, is not kept: it is worth another try.

import { createHash } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Once } from '../engine/idempotency.ts'
import { HeadwayError } from '../protocol/errors.ts'
import { IDEMPOTENT_ANSWER_BYTES_MAX } from '../protocol/limits.ts'
import { identityOf } from './guard.ts'
import type { Reach } from './reach.ts'

/** Visible ASCII: what every HTTP library lets through unchanged. */
const KEY = /^[\x21-\x7e]{1,255}$/
const KEPT_HEADERS = ['content-type', 'location'] as const

interface Kept { status: number, headers: Record<string, string>, body: string }

declare module 'fastify' {
  interface FastifyRequest { once: Extract<Once, { word: 'begun' }> | null }
  /** `repeatable`: has no effect that a key would have to protect. */
  interface FastifyContextConfig { repeatable?: true }
}

export function registerOnce (app: FastifyInstance, { engine }: { engine: Pick<Reach, 'beginOnce'> }): void {
  app.decorateRequest('once', null)

  app.addHook('preHandler', async (request, reply) => {
    const key = keyOf(request)
    if (key === null) return
    const found = await engine.beginOnce(identityOf(request).tenant_id, key, fingerprintOf(request))
    switch (found.word) {
      case 'begun':
        request.once = found
        return
      case 'busy':
        throw new HeadwayError('idempotency_conflict', `A request of the key ${key} is under way; ask again in a moment.`)
      case 'other':
        throw new HeadwayError('idempotency_mismatch', `The key ${key} was given to another request in the last 24 hours; take a new one.`)
      case 'done': {
        const { status, headers, body } = JSON.parse(found.outcome) as Kept
        return reply.code(status).headers({ ...headers, 'idempotency-replayed': 'true' }).send(body)
      }
    }
  })

  app.addHook('onSend', async (request, reply, payload) => {
    const { once } = request
    if (once === null) return
    try {
      const kept = keptOf(reply, payload)
      await (kept === null ? once.forget() : once.keep(kept))
    } catch (error) {
      // The answer is right all the same; a repeat within half a minute hears idempotency_conflict, then it is carried out again.
      request.log.warn({ event: 'answer_not_kept', err: error }, 'the answer to an Idempotency-Key was not kept')
    }
  })
}

function keyOf (request: FastifyRequest): string | null {
  const { scope, repeatable } = request.routeOptions.config
  const key = request.headers['idempotency-key']
  if (key === undefined || request.method !== 'POST' || scope === undefined || repeatable === true) return null
  if (typeof key !== 'string' || !KEY.test(key)) {
    throw new HeadwayError('invalid_field', 'Idempotency-Key must be 1 to 255 visible characters of ASCII; a UUID is a good one.')
  }
  return key
}

function fingerprintOf ({ method, url, body }: FastifyRequest): string {
  return createHash('sha256').update(`${method} ${url.split('?', 1)[0] ?? ''}\n${JSON.stringify(body)}`).digest('base64url')
}

/** @returns null for what is not kept */
function keptOf (reply: FastifyReply, payload: unknown): string | null {
  const { statusCode: status } = reply
  if (status >= 500 || status === 429) return null
  const headers = Object.fromEntries(KEPT_HEADERS.flatMap(name => reply.hasHeader(name) ? [[name, String(reply.getHeader(name))]] : []))
  const kept = JSON.stringify({ status, headers, body: typeof payload === 'string' ? payload : '' } satisfies Kept)
  return Buffer.byteLength(kept) > IDEMPOTENT_ANSWER_BYTES_MAX ? null : kept
}
