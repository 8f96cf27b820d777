// 405 with Allow for methods that an address does not know, where Fastify would say that there is nothing.

import type { FastifyInstance, HTTPMethods } from 'fastify'
import { HeadwayError } from '../protocol/errors.ts'

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const

declare module 'fastify' {
  interface FastifyContextConfig { refusal?: true }
}

/** Call it before the routes; what it returns, behind them. */
export function refuseOtherMethods (app: FastifyInstance): () => void {
  const known = new Map<string, Set<string>>()

  app.addHook('onRoute', ({ url, method }) => {
    const methods = known.get(url) ?? new Set()
    known.set(url, methods)
    for (const one of [method].flat()) methods.add(one)
  })

  return () => {
    for (const [url, methods] of [...known]) {
      if (url.includes('*')) continue
      const allow = [...methods].join(', ')
      app.route({
        method: METHODS.filter(method => !methods.has(method)) as HTTPMethods[],
        url,
        schema: { hide: true },
        config: { refusal: true },
        onRequest: async (request, reply) => {
          reply.header('allow', allow)
          throw new HeadwayError('method_not_allowed', `${request.method} is not known here; ${allow} ${methods.size === 1 ? 'is' : 'are'}.`)
        },
        handler: async () => {}
      })
    }
  }
}
