// docs/examples/supabase-session.ts with the real supabase-js, a real gateway, and a stand-in for Supabase's auth server, which
// cannot run here: it signs tokens as Supabase does, with the secret that the gateway knows.

import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createClient } from '@supabase/supabase-js'
import t, { type Test } from 'tap'
import { createHeadway } from '../../docs/examples/supabase-session.ts'
import { NO_LOG } from '../../src/engine/connections.ts'
import { ProgressMonitor } from '../../src/worker/index.ts'
import { privateRedis, startGateway, tokenOf } from '../gateway/support.ts'
import { until } from '../support/wait.ts'

/** Answers sign-in and refresh, each with another token. */
async function standInAuth (t: Test): Promise<{ url: string, tokens: string[] }> {
  const tokens: string[] = []
  const server = createServer((_request, response) => {
    void tokenOf({ expires_in_s: 3600 + tokens.length }).then(token => {
      tokens.push(token)
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(JSON.stringify({
        access_token: token,
        token_type: 'bearer',
        expires_in: 3600,
        refresh_token: `refresh-${tokens.length}`,
        user: { id: '6f0e1c1c-0000-4000-8000-000000000001', aud: 'authenticated', app_metadata: { tenant_id: 'acme' }, user_metadata: {} }
      }))
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.closeAllConnections(); server.close() })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, tokens }
}

t.test('a user who signs in with Supabase watches, is refreshed on the open socket, and leaves', async t => {
  const redis = await privateRedis(t)
  const { url, engine } = await startGateway(t, redis)
  const auth = await standInAuth(t)
  const said: { action: string, token?: string }[] = []
  const Real = globalThis.WebSocket
  globalThis.WebSocket = class extends Real { // to see what is said on the socket
    override send (data: string): void {
      said.push(JSON.parse(data) as { action: string })
      super.send(data)
    }
  }
  t.teardown(() => { globalThis.WebSocket = Real })
  const supabase = createClient(auth.url, 'anon', { auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false } })
  const headway = createHeadway(url, supabase)
  const monitor = new ProgressMonitor({ redisUrl: redis.url, prefix: engine.keys.prefix, tenantId: 'acme', log: NO_LOG })
  t.teardown(async () => {
    headway.close()
    await monitor.close()
  })

  await t.rejects(headway.getJob('job'), { code: 'unauthorized' }, 'nobody has signed in')
  t.equal((await supabase.auth.signInWithPassword({ email: 'a@example.com', password: 'secret' })).error, null)
  await monitor.registerJob('job', { items_total: 1, state: 'running' })
  const watch = headway.watch('job', { wait_ms: 10_000 })
  await until(() => watch.getSnapshot().connection === 'live')

  t.equal((await supabase.auth.refreshSession()).error, null)
  await until(() => said.some(({ action }) => action === 'authenticate'), { what: 'the new token is told' })
  t.equal(auth.tokens.length, 2)
  t.equal(said.find(({ action }) => action === 'authenticate')?.token, auth.tokens[1])
  await monitor.updateItemProgress('job', { id: 'a', state: 'completed' })
  await until(() => watch.getSnapshot().job?.items_completed === 1, { what: 'the same socket goes on' })

  await supabase.auth.signOut({ scope: 'local' })
  await until(() => watch.getSnapshot().connection === 'closed')
})
