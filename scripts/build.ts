// npm run build: src → dist, as ES modules with declarations, for those who install the package: Node strips no types under
// node_modules. In this repository nothing needs it; tests and `npm start` run src as it is.

import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const PROJECT = fileURLToPath(new URL('..', import.meta.url))
const SOURCE = join(PROJECT, 'src')
const DIST = join(PROJECT, 'dist')

rmSync(DIST, { recursive: true, force: true })
const compiler = join(PROJECT, 'node_modules/typescript/bin/tsc')
const { status } = spawnSync(process.execPath, [compiler, '-p', join(PROJECT, 'tsconfig.build.json')], { stdio: 'inherit' })
if (status !== 0) process.exit(status ?? 1)

// What is no module: Lua, styles, pictures.
cpSync(SOURCE, DIST, { recursive: true, filter: path => extname(path) !== '.ts' && extname(path) !== '.md' })

/** The compiler renames modules where they are imported; where they are named otherwise it cannot know. */
const NAMES = /((?:new URL\(|src=)(["'])[^"']+)\.ts\2/g
for (const name of readdirSync(DIST, { recursive: true, encoding: 'utf8' })) {
  if (!/\.(?:js|html)$/.test(name)) continue
  const path = join(DIST, name)
  const text = readFileSync(path, 'utf8')
  const renamed = text.replace(NAMES, '$1.js$2')
  if (renamed !== text) writeFileSync(path, renamed)
}
chmodSync(join(DIST, 'cli/headway.js'), 0o755)
