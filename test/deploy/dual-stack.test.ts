// Both families of addresses: what k8s/components/dual-stack sets makes a gateway and a persister answer on IPv4 and IPv6, and Redis may
// be at an address of IPv6.

import { networkInterfaces } from 'node:os'
import t from 'tap'
import { runGateway } from '../../src/main.ts'
import { createProbes } from '../../src/persister/probes.ts'
import { startRedis } from '../support/redis.ts'

const skip = Object.values(networkInterfaces()).flat().some(one => one?.address === '::1') ? false : 'this machine has no IPv6'
const statusOf = async (address: string, port: number, path: string): Promise<number> => (await fetch(`http://${address}:${port}${path}`)).status

t.test('a gateway with WEBSOCKET_HOST=:: and a Redis at [::1]', { skip }, async t => {
  const redis = await startRedis({ flags: ['--bind', '127.0.0.1', '::1'] })
  t.teardown(() => redis.stop())
  const gateway = await runGateway({
    REDIS_URL: `redis://[::1]:${redis.port}`,
    HEADWAY_JWT_SECRET: 'a secret of these tests, longer than thirty-two characters',
    HEADWAY_LOG_LEVEL: 'silent',
    WEBSOCKET_HOST: '::',
    WEBSOCKET_PORT: '0',
    HEADWAY_INTERNAL_HOST: '::',
    HEADWAY_INTERNAL_PORT: '0',
    HEADWAY_DRAIN_WINDOW_MS: '0'
  }, new AbortController().signal)
  t.teardown(() => gateway.stop())
  t.match(await redis.client().client('LIST'), / addr=\[::1\]:/, 'Redis is asked over IPv6')
  for (const address of ['127.0.0.1', '[::1]']) {
    t.equal(await statusOf(address, gateway.port, '/readyz'), 200, `public, ${address}`)
    t.equal(await statusOf(address, gateway.internal_port, '/readyz'), 200, `internal, ${address}`)
  }
})

t.test('a persister\'s probes with HEADWAY_INTERNAL_HOST=::', { skip }, async t => {
  const probes = createProbes({ persister: () => undefined, ping: async () => true })
  const port = await probes.start('::', 0)
  t.teardown(() => probes.stop())
  for (const address of ['127.0.0.1', '[::1]']) t.equal(await statusOf(address, port, '/livez'), 200, address)
})
