// The dashboard, served without a build: at start the types are stripped from its modules and those it imports, and all are kept
// in memory under the hash of their content, so that browsers may cache them for good.

import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import * as nodeModule from 'node:module'
import { dirname, extname, join, posix, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { HeadwayError } from '../protocol/errors.ts'

const SOURCE = fileURLToPath(new URL('..', import.meta.url))
/** Folders of the source tree; protocol/schema is for servers. */
const FOLDERS = ['dashboard', 'client', 'protocol']
/** Files of packages that the page uses, by the names under which they are served. */
const VENDOR: Record<string, string> = {
  'vendor/uplot.js': 'uplot/dist/uPlot.esm.js',
  'vendor/uplot.css': 'uplot/dist/uPlot.min.css',
  'vendor/inter-latin.woff2': '@fontsource-variable/inter/files/inter-latin-wght-normal.woff2',
  'vendor/inter-latin-ext.woff2': '@fontsource-variable/inter/files/inter-latin-ext-wght-normal.woff2'
}
/** A browser resolves no package names, and a table of them in the page would be an inline script. */
const PACKAGES: Record<string, string> = { uplot: '../vendor/uplot.js' }
/** Writes `{{assets}}` for the address of all files, `{{preload}}` for its modules; they import each other by relative paths. */
const INDEX = 'dashboard/index.html'

const TYPES: Record<string, string> = {
  '.ts': 'text/javascript; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2'
}

const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self' ws: wss:; " +
  "frame-ancestors 'none'; base-uri 'none'"

const GUARDS = { 'content-security-policy': POLICY, 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' }

interface Asset { type: string, body: Buffer }

export interface Page {
  /** Of all assets together; stands in their addresses. */
  hash: string
  register: (app: FastifyInstance) => void
  /** `GET /` */
  index: (request: FastifyRequest, reply: FastifyReply) => FastifyReply
}

/**
 * Reads and converts everything once.
 * @param source folder that holds dashboard/, client/ and protocol/
 * @throws Error when a file cannot be read or is not erasable TypeScript
 */
export function createPage (source: string = SOURCE): Page {
  const own = FOLDERS.flatMap(folder => filesOf(source, folder))
  const assets = new Map(own.map(path => [path, assetOf(path, join(source, path))]))
  for (const [name, path] of Object.entries(VENDOR)) assets.set(name, assetOf(name, vendorFile(path)))
  const digest = createHash('sha256')
  for (const [path, { body }] of assets) digest.update(path).update('\0').update(body)
  const hash = digest.digest('hex').slice(0, 16)
  const preload = modulesOf(assets, assets.has('dashboard/main.ts') ? 'dashboard/main.ts' : 'dashboard/main.js').map(path => `<link rel="modulepreload" href="{{assets}}/${path}">`).join('\n  ')
  const index = Buffer.from(readFileSync(join(source, INDEX), 'utf8').replace('{{preload}}', preload).replaceAll('{{assets}}', `/assets/${hash}`))

  return {
    hash,
    register (app) {
      app.get<{ Params: Record<'hash' | '*', string> }>('/assets/:hash/*', async (request, reply) => {
        const asset = assets.get(request.params['*'])
        if (asset === undefined) throw new HeadwayError('not_found', 'There is no such file.')
        // While gateways of two versions run, a page of one may ask the other: better a file of ours than none, but not for good.
        const cache = request.params.hash === hash ? 'public, max-age=31536000, immutable' : 'no-store'
        return reply.headers({ ...GUARDS, 'cache-control': cache, 'content-type': asset.type }).send(asset.body)
      })
    },
    index: (_request, reply) =>
      reply.headers({ ...GUARDS, 'cache-control': 'no-cache', 'content-type': 'text/html; charset=utf-8' }).send(index)
  }
}

function filesOf (source: string, folder: string): string[] {
  return readdirSync(join(source, folder), { recursive: true, encoding: 'utf8' })
    .map(name => `${folder}/${name.split(sep).join('/')}`)
    .filter(path => extname(path) in TYPES && !path.endsWith('.d.ts') && !path.startsWith('protocol/schema/'))
    .sort()
}

function assetOf (name: string, file: string): Asset {
  const body = readFileSync(file)
  const extension = extname(name)
  const type = TYPES[extension] ?? ''
  if (extension === '.ts') return { type, body: Buffer.from(resolved(strip(body.toString('utf8')))) }
  const isOwn = extension === '.js' && !name.startsWith('vendor/') // of a built package
  return { type, body: isOwn ? Buffer.from(resolved(body.toString('utf8'))) : body }
}

/** By the package's own manifest: what a package exports need not be its files. */
function vendorFile (path: string): string {
  const parts = path.split('/')
  const name = parts.splice(0, path.startsWith('@') ? 2 : 1).join('/')
  return join(dirname(nodeModule.createRequire(import.meta.url).resolve(`${name}/package.json`)), ...parts)
}

const IMPORT = /^((?:import|export)\s[^'"`;=]*?from\s+)'([^']+)'/gm

function resolved (text: string): string {
  return text.replace(IMPORT, (all, before: string, name: string) => PACKAGES[name] === undefined ? all : `${before}'${PACKAGES[name]}'`)
}

/** The module and all it imports: without being told, a browser would find them one layer after the other. */
function modulesOf (assets: ReadonlyMap<string, Asset>, entry: string): string[] {
  const found = new Set([entry])
  for (const path of found) {
    const text = assets.get(path)?.body.toString('utf8') ?? ''
    for (const [, , name = ''] of text.matchAll(IMPORT)) found.add(posix.join(posix.dirname(path), name))
  }
  return [...found].filter(path => assets.has(path))
}

// Blanks types out in place: lines and columns stay. Node calls the function experimental; that one warning is silenced.
function strip (text: string): string {
  const { emitWarning } = process
  process.emitWarning = () => {}
  try {
    return nodeModule.stripTypeScriptTypes(text, { mode: 'strip' }) // from Node 22 on; a built package needs none of it
  } finally {
    process.emitWarning = emitWarning
  }
}
