// A server of somebody else: a page with the element and the React hooks, on another origin, under a policy as strict as any.

import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import type { Test } from 'tap'

/**
 * @param gateway the only address that the page may call
 * @param body what stands on the page, below its heading
 * @returns its address; `#url=…&token=…` says whom it asks
 */
export async function serveEmbedded (t: Test, gateway: string, body: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('page.ts', import.meta.url))],
    bundle: true,
    format: 'esm',
    write: false,
    define: { 'process.env.NODE_ENV': '"production"' },
    logLevel: 'silent'
  })
  const html = `<!doctype html><html lang="de"><meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
    <title>Embedded</title><script type="module" src="/page.js"></script><body><main><h1>Somebody else’s page</h1>${body}</main>`
  const policy = `default-src 'none'; script-src 'self'; connect-src ${gateway} ${gateway.replace('http', 'ws')}`
  const server = createServer((request, response) => {
    const isScript = request.url === '/page.js'
    response.writeHead(200, { 'content-type': `${isScript ? 'text/javascript' : 'text/html'}; charset=utf-8`, 'content-security-policy': policy })
    response.end(isScript ? outputFiles[0]?.text : request.url === '/' ? html : '')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.closeAllConnections(); server.close() })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
