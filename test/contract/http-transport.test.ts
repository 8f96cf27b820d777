// The transport over HTTP keeps the contract of transports, at a real gateway.

import t from 'tap'
import { NO_LOG } from '../../src/engine/connections.ts'
import { createHttpTransport } from '../../src/worker/http-transport.ts'
import { startProxy } from '../chaos/proxy.ts'
import { privateRedis, startGateway, tokenOf, WORKER_SCOPES } from '../gateway/support.ts'
import { transportContract } from './transport.ts'

const redis = await privateRedis(t)

void transportContract(t, async t => {
  const { engine, gateway, url } = await startGateway(t, redis, { HEADWAY_PARTITIONS: '4' })
  const proxy = await startProxy(Number(new URL(url).port))
  t.teardown(() => proxy.close())
  const transport = createHttpTransport({ gateway_url: `http://127.0.0.1:${proxy.port}`, token: tenant => tokenOf({ tenant, scope: WORKER_SCOPES }), log: NO_LOG })
  t.teardown(() => transport.close())
  return { transport, engine, cut: () => gateway.stop(), interrupt: async () => proxy.reset() }
})
