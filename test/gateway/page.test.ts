// The dashboard as it is served: no build, no inline script, every module of it reachable.

import { posix } from 'node:path'
import t from 'tap'
import { createPage } from '../../src/gateway/page.ts'
import { privateRedis, startGateway } from './support.ts'

const redis = await privateRedis(t)

t.test('the page and all it loads', async t => {
  const warned: string[] = []
  const onWarning = (warning: Error) => warned.push(warning.name)
  process.on('warning', onWarning)
  t.teardown(() => process.off('warning', onWarning))
  const { url } = await startGateway(t, redis, { HEADWAY_DASHBOARD: 'on' })
  const page = await fetch(`${url}/?whatever=1`)
  const html = await page.text()
  t.equal(page.status, 200)
  t.equal(page.headers.get('content-type'), 'text/html; charset=utf-8')
  t.equal(page.headers.get('cache-control'), 'no-cache')
  const policy = page.headers.get('content-security-policy') ?? ''
  for (const rule of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self' ws: wss:", "frame-ancestors 'none'", "base-uri 'none'"]) {
    t.ok(policy.split('; ').includes(rule), rule)
  }
  t.notMatch(policy, /unsafe/)
  t.equal(page.headers.get('x-content-type-options'), 'nosniff')
  t.notMatch(html, /<script(?![^>]*\bsrc=)|\son[a-z]+=|\sstyle=/i, 'nothing inline, which the policy would block')

  const waiting = [...html.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map(match => match[1] as string)
  t.ok(waiting.some(path => path.endsWith('/main.ts')))
  const seen = new Set<string>()
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (seen.has(path)) continue
    seen.add(path)
    const asset = await fetch(url + path)
    t.equal(asset.status, 200, path)
    t.equal(asset.headers.get('cache-control'), 'public, max-age=31536000, immutable')
    const text = await asset.text()
    if (!path.endsWith('.ts')) continue
    t.equal(asset.headers.get('content-type'), 'text/javascript; charset=utf-8', path)
    t.notMatch(text, /^\s*(interface|import type|export type) /m, `${path} has no types`)
    for (const match of text.matchAll(/^(?:import|export)\s[^'"`;=]*?from\s+['"]([^'"]+)['"]/gm)) {
      t.match(match[1], /^\.\.?\//, 'a browser resolves relative paths only')
      waiting.push(posix.join(posix.dirname(path), match[1] as string))
    }
  }
  t.ok([...seen].some(path => path.includes('/client/')))
  t.ok([...seen].some(path => path.includes('/protocol/')))
  t.notOk([...seen].some(path => path.includes('/protocol/schema/')))
  t.same(warned.filter(name => name === 'ExperimentalWarning'), [])
})

t.test('addresses that are none, and those of another version', async t => {
  const { url } = await startGateway(t, redis, { HEADWAY_DASHBOARD: 'on' })
  const { hash } = createPage()
  for (const path of ['dashboard/absent.ts', 'gateway/auth.ts', 'protocol/schema/parts.ts', '..%2fgateway%2fauth.ts', '../gateway/auth.ts', '']) {
    t.equal((await fetch(`${url}/assets/${hash}/${path}`)).status, 404, path)
  }
  const older = await fetch(`${url}/assets/0123456789abcdef/dashboard/main.ts`)
  t.equal(older.status, 200)
  t.equal(older.headers.get('cache-control'), 'no-store')
})

t.test('no dashboard', async t => {
  const { url } = await startGateway(t, redis)
  t.equal((await fetch(url)).status, 426)
})
