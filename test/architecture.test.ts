// The shape of the house, as tests: who may import whom, where keys are named, how long files are, and that the words
// of the Lua scripts are those of the TypeScript that calls them. The tables stand in src/README.md too.

import { readFileSync, readdirSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { ERRORS } from '../src/protocol/errors.ts'
import * as limits from '../src/protocol/limits.ts'
import { DECAY } from '../src/protocol/pace.ts'

const ROOT = fileURLToPath(new URL('../', import.meta.url))
const SRC = join(ROOT, 'src')

/** Folder → folders of src and packages it may import. `node:` modules are free unless the table says otherwise. */
const MAY_IMPORT: Record<string, { folders: string[], packages: string[], node: boolean }> = {
  protocol: { folders: [], packages: [], node: false },
  'protocol/schema': { folders: ['protocol'], packages: ['typebox'], node: false },
  config: { folders: [], packages: ['typebox'], node: true },
  tracing: { folders: [], packages: ['*'], node: true },
  engine: { folders: ['protocol', 'tracing'], packages: ['ioredis', 'pino'], node: true },
  capacity: { folders: [], packages: [], node: false },
  monitor: { folders: [], packages: ['prom-client'], node: true },
  gateway: { folders: ['monitor', 'engine', 'archive', 'protocol', 'protocol/schema', 'tracing'], packages: ['*'], node: true },
  persister: { folders: ['engine', 'protocol', 'tracing'], packages: ['*'], node: true },
  archive: { folders: ['protocol'], packages: ['*'], node: true },
  worker: { folders: ['protocol', 'engine', 'tracing'], packages: ['ioredis', 'pino'], node: true },
  client: { folders: ['protocol'], packages: [], node: false },
  react: { folders: ['client', 'protocol'], packages: ['react'], node: false },
  element: { folders: ['client', 'protocol'], packages: [], node: false },
  dashboard: { folders: ['client', 'protocol'], packages: ['uplot'], node: false },
  demo: { folders: ['archive', 'client', 'config', 'dashboard', 'engine', 'gateway', 'main', 'persister', 'protocol', 'worker'], packages: ['*'], node: true },
  doctor: { folders: ['config', 'engine', 'persister', 'protocol'], packages: ['*'], node: true },
  cli: { folders: ['*'], packages: ['*'], node: true },
  main: { folders: ['monitor', 'config', 'engine', 'gateway', 'persister', 'archive', 'protocol', 'tracing'], packages: ['*'], node: true }
}

/** Reported above the first, refused above the second. */
const LINES_SELDOM = 200
const LINES_MAX = 400

interface Import { file: string, folder: string, target: string, type: 'src' | 'package' | 'node' }

function filesBelow (folder: string, extension: RegExp): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map(name => join(folder, name))
    .filter(name => extension.test(name) && !name.includes('node_modules'))
    .sort()
}

function folderOf (file: string): string {
  const parts = relative(SRC, file).split('/')
  if (parts.length === 1) return 'main'
  return parts[0] === 'protocol' && parts[1] === 'schema' ? 'protocol/schema' : parts[0] ?? ''
}

function importsOf (file: string): Import[] {
  const source = withoutComments(readFileSync(file, 'utf8'))
  const specifiers = [
    ...source.matchAll(/^\s*(?:import|export)\s[^'"`;]*?from\s+['"]([^'"]+)['"]/gm),
    ...source.matchAll(/^\s*import\s+['"]([^'"]+)['"]/gm),
    ...source.matchAll(/\bimport\(\s*['"]([^'"]+)['"]\s*\)/g)
  ].map(found => found[1] ?? '')
  return specifiers.map(specifier => {
    const folder = folderOf(file)
    if (specifier.startsWith('.')) return { file, folder, target: folderOf(resolve(dirname(file), specifier)), type: 'src' }
    if (specifier.startsWith('node:')) return { file, folder, target: specifier, type: 'node' }
    const name = specifier.startsWith('@') ? specifier.split('/').slice(0, 2).join('/') : specifier.split('/')[0] ?? ''
    return { file, folder, target: name, type: 'package' }
  })
}

function withoutComments (source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '')
}

function isAllowed ({ folder, target, type }: Import): boolean {
  const rule = MAY_IMPORT[folder]
  if (rule === undefined) return false
  if (type === 'node') return rule.node
  const list = type === 'src' ? rule.folders : rule.packages
  return list.includes('*') || list.includes(target) || (type === 'src' && target === folder)
}

const sources = filesBelow(SRC, /\.ts$/)
const imports = sources.flatMap(importsOf)
const say = (one: Import): string => `${relative(ROOT, one.file)} imports ${one.target}`

t.test('folders import only what the table of src/README.md allows', async t => {
  t.ok(imports.length > 50, 'the imports were found')
  t.same(imports.filter(one => !isAllowed(one)).map(say), [])
})

t.test('nobody imports cli, only cli imports demo, only entry points read the environment', async t => {
  t.same(imports.filter(one => one.target === 'cli' && one.folder !== 'cli').map(say), [])
  t.same(imports.filter(one => one.target === 'demo' && one.folder !== 'cli' && one.folder !== 'demo').map(say), [])
  const readers = sources.filter(file => /\bprocess\.env\b/.test(withoutComments(readFileSync(file, 'utf8')))).map(folderOf)
  t.same([...new Set(readers)].filter(folder => !['cli', 'main', 'demo'].includes(folder)), [])
})

t.test('the worker reaches into the engine by its Redis transport only, for ingest, channels and reads', async t => {
  const reached = sources.filter(file => folderOf(file) === 'worker')
    .flatMap(file => [...readFileSync(file, 'utf8').matchAll(/from '\.\.\/engine\/([^']+)\.ts'/g)].map(found => [relative(ROOT, file), found[1] ?? ''] as const))
  const may = (file: string): RegExp => /\/redis-/.test(file) ? /^(producer|connections|keys|partitions|feed|packed|reads|positions)$/ : /^connections$/
  t.ok(reached.length > 5, 'the imports were found')
  t.same(reached.filter(([file, name]) => !may(file).test(name)), [])
})

t.test('published code asks for nothing that Node 20 has not', async t => {
  const newer = /\b(?:Promise\.(?:withResolvers|try)|(?:Map|Object)\.groupBy|Array\.fromAsync|RegExp\.escape)\b|\.(?:values|keys|entries)\(\)\.(?:map|filter|find|some|every|take|drop|toArray|flatMap)\(/
  const published = sources.filter(file => !['dashboard', 'demo'].includes(folderOf(file)))
  t.same(published.filter(file => newer.test(withoutComments(readFileSync(file, 'utf8')))).map(file => relative(ROOT, file)), [], 'see protocol/ponyfills.ts')
})

t.test('only src/engine/keys.ts builds names of keys and channels', async t => {
  const others = sources.filter(file => !file.endsWith('engine/keys.ts') && folderOf(file) !== 'config')
  const builders = others.filter(file => {
    const code = withoutComments(readFileSync(file, 'utf8'))
    return /['"`]hw[:'"`]/.test(code.replace(/prefix = 'hw'|\?\? 'hw'/g, '')) || /\{p\$\{/.test(code) || /:(ingest|agenda|outbox|rejected|producers|answers|dirty)['"`]/.test(code)
  })
  t.same(builders.map(file => relative(ROOT, file)), [])
  const scripts = filesBelow(join(SRC, 'engine/lua'), /\.lua$/)
  t.same(scripts.filter(file => /^[^-]*['"][a-z]*:\{p/m.test(readFileSync(file, 'utf8'))).map(file => relative(ROOT, file)), [])
})

t.test('the words that scripts answer: told in their headers, and those that the engine asks for', async t => {
  const answered = new Map(filesBelow(join(SRC, 'engine/lua'), /lua\/[^/]+\.lua$/).map(file => [relative(join(SRC, 'engine/lua'), file), wordsOf(file)]))
  t.ok(answered.size > 3, 'the scripts were found')
  for (const [name, { returned, told }] of answered) t.same(returned.filter(word => !told.includes(word)), [], `${name} tells of every word in its header`)

  const engine = sources.filter(file => folderOf(file) === 'engine').map(file => readFileSync(file, 'utf8')).join('\n')
  const union = /type DrainWord = ([^\n]+)/.exec(engine)?.[1] ?? ''
  t.same([...union.matchAll(/'(\w+)'/g)].map(found => found[1]).sort(), answered.get('drain.lua')?.table.sort(), 'DrainWord has the words of drain.lua')
  const asked = [...engine.matchAll(/(?<!typeof )\b(?:reply\[0\]|word) [!=]== '(\w+)'/g)].map(found => found[1] ?? '')
  const known = new Set([...answered.values()].flatMap(({ returned, table }) => [...returned, ...table]))
  t.ok(asked.length > 3, 'the questions were found')
  t.same(asked.filter(word => !known.has(word)), [], 'nothing is asked for that no script answers')
})

/** Of a script: first values of its answers; words of the header's lines that tell of them; the table there, if it has one. */
function wordsOf (file: string): { returned: string[], told: string[], table: string[] } {
  const source = readFileSync(file, 'utf8')
  const returned = [...source.matchAll(/\breturn\s*\{\s*'(\w+)'/g)].map(found => found[1] ?? '')
  const header = /^-- Returns[\s\S]*?(?=^[^-])/m.exec(source)?.[0] ?? ''
  const table = [...header.matchAll(/^-- (\w+) {2,}\S/gm)].map(found => found[1] ?? '')
  return { returned: [...new Set(returned)], told: header.match(/\w+/g) ?? [], table }
}

t.test('every code that a script refuses with is in the table of errors', async t => {
  const codes = new Set(filesBelow(join(SRC, 'engine/lua'), /\.lua$/)
    .flatMap(file => [...readFileSync(file, 'utf8').matchAll(/\b(?:refuse\w*\(\s*|code = )'([a-z_]+)'/g)].map(found => found[1] ?? '')))
  t.ok(codes.size > 3, 'the codes were found')
  t.same([...codes].filter(code => !(code in ERRORS)), [])
})

/** Numbers that the scripts have too: where they stand there, and what they are here. */
const SHARED_NUMBERS: [RegExp, number][] = [
  [/#constant EVENT_BYTES (\d+)/g, limits.EVENT_BYTES_MAX],
  [/'data', \(R\.cut\(.+, (\d+)\)\)/g, limits.EVENT_BYTES_MAX],
  [/#constant ENTRY_BYTES (\d+)/g, limits.ENTRY_BYTES_MAX],
  [/more than (\d+) events/g, limits.ENTRY_EVENTS_MAX],
  [/#constant TITLE_BYTES (\d+)/g, limits.TITLE_BYTES_MAX],
  [/#constant TITLE_BYTES (\d+)/g, limits.REASON_BYTES_MAX],
  [/#constant TEXT_BYTES (\d+)/g, limits.TEXT_BYTES_MAX],
  [/#constant METADATA_BYTES (\d+)/g, limits.METADATA_BYTES_MAX],
  [/#constant DEPTH_MAX (\d+)/g, limits.JSON_DEPTH_MAX],
  [/'(?:job_kind|kind|worker|ack)', (\d+)\)/g, limits.LABEL_BYTES_MAX],
  [/#fields\.cid > (\d+)/g, limits.CORRELATION_ID_BYTES_MAX],
  [/(?:limited and|or) R\.base \+ (\d+)/g, limits.RATE_LIMIT_MS_DEFAULT],
  [/local settle = .+ \+ (\d+)/g, limits.SETTLE_MS],
  [/samples\]? == (\d+) then/gi, limits.DURATION_SAMPLES_MAX],
  [/samples\]? - math\.min\((\d+),/gi, limits.DURATION_SAMPLES_MAX],
  [/\b(0\.95\d*)\b/g, DECAY],
  [/\b(0\.00592\d*)\b/g, Number((DECAY ** limits.DURATION_SAMPLES_MAX).toFixed(16))]
]

t.test('numbers that stand in Lua too are the same there', async t => {
  const scripts = filesBelow(join(SRC, 'engine/lua'), /\.lua$/).map(file => readFileSync(file, 'utf8')).join('\n')
  const found = (pattern: RegExp): number[] => [...scripts.matchAll(pattern)].map(match => Number(match[1]))
  for (const [pattern, number] of SHARED_NUMBERS) t.same([...new Set(found(pattern))], [number], String(pattern))
  t.equal(new Set(found(/PAGE_ITEMS (?:= )?(\d+)/g)).size, 1, 'who writes pages and who reads them agree')
})

t.test('every bound that is told is one that is kept', async t => {
  const text = [...sources.filter(file => !file.endsWith('protocol/limits.ts')), fileURLToPath(import.meta.url)].map(file => readFileSync(file, 'utf8')).join('\n')
  t.same(Object.keys(limits).filter(name => !new RegExp(`\\b${name}\\b`).test(text)), [])
})

t.test('files stay short', async t => {
  const all = [...sources, ...filesBelow(join(SRC, 'engine/lua'), /\.lua$/), ...filesBelow(join(ROOT, 'test'), /\.ts$/)]
  const lines = all.map(file => ({ file: relative(ROOT, file), lines: readFileSync(file, 'utf8').split('\n').length - 1 }))
  for (const one of lines.filter(one => one.lines > LINES_SELDOM)) t.comment(`${one.file} has ${one.lines} lines: does it still have one reason to change?`)
  t.same(lines.filter(one => one.lines > LINES_MAX), [], `none over ${LINES_MAX} lines`)
})
