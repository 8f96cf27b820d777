// The dashboard, served without a build: at start the types are stripped from its modules and those it imports, and all are kept
// in memory under the hash of their content, so that browsers may cache them for good.

import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import * as nodeModule from 'node:module'
import { extname, join, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { HeadwayError } from '../protocol/errors.ts'

const SOURCE = fileURLToPath(new URL('..', import.meta.url))
/** Folders of the source tree; protocol/schema is for servers. */
const FOLDERS = ['dashboard', 'client', 'protocol']
/** Writes `{{assets}}` for the address of the folders above; modules import each other by relative paths. */
const INDEX = 'dashboard/index.html'

const TYPES: Record<string, string> = {
  '.ts': 'text/javascript; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon'
}

const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self' ws: wss:; " +
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
  const assets = new Map(FOLDERS.flatMap(folder => filesOf(source, folder)).map(path => [path, assetOf(source, path)]))
  const digest = createHash('sha256')
  for (const [path, { body }] of assets) digest.update(path).update('\0').update(body)
  const hash = digest.digest('hex').slice(0, 16)
  const index = Buffer.from(readFileSync(join(source, INDEX), 'utf8').replaceAll('{{assets}}', `/assets/${hash}`))

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

function assetOf (source: string, path: string): Asset {
  const body = readFileSync(join(source, path))
  const extension = extname(path)
  return { type: TYPES[extension] ?? '', body: extension === '.ts' ? Buffer.from(strip(body.toString('utf8'))) : body }
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
