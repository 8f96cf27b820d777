// docs/clients.md tells of what there is: names that can be imported, variables, parts and attributes of the element.

import { spawnSync } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import t from 'tap'
import { STYLE } from '../../src/element/style.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const PAGE = readFileSync(`${ROOT}docs/clients.md`, 'utf8')
const sorted = (values: Iterable<string>): string[] => [...new Set(values)].sort()

t.test('what it imports can be imported', async t => {
  const imports = [...PAGE.matchAll(/^import \{ ([^}]+) \} from '\.\/([^']+)'/gm)]
  t.equal(imports.length, 2)
  for (const [, names = '', path = ''] of imports) {
    const module = await import(`${ROOT}${path}`) as Record<string, unknown>
    for (const name of names.split(', ')) t.type(module[name], 'function', name)
  }
})

t.test('what it shows for React is right, types and all', async t => {
  const [, component = ''] = /```tsx\n([\s\S]*?)```/.exec(PAGE) ?? []
  const file = `${ROOT}test/docs/.react-example.tsx`
  t.teardown(() => { rmSync(file, { force: true }) })
  writeFileSync(file, [
    "import { createRoot } from 'react-dom/client'", "import { createClient } from '../../src/client/index.ts'",
    "import { HeadwayProvider, useControl, useJob } from '../../src/react/index.ts'", "const client = createClient({ url: '', getToken: () => '' })", component
  ].join('\n'))
  const tsc = ['tsc', '--noEmit', '--strict', '--jsx', 'react-jsx', '--lib', 'esnext,dom', '--module', 'nodenext', '--target', 'esnext',
    '--allowImportingTsExtensions', '--erasableSyntaxOnly', '--skipLibCheck', '--types', 'react', '--ignoreConfig', file]
  const { status, stdout } = spawnSync('npx', tsc, { encoding: 'utf8', cwd: ROOT })
  t.equal(status, 0, stdout)
})

t.test('the element: its variables, parts and attributes are these', async t => {
  const told = /CSS variables: `([^`]+)`; parts: `([^`]+)`/.exec(PAGE)
  t.same(sorted((told?.[1] ?? '').split(/\s+/)), sorted([...STYLE.matchAll(/var\((--headway-[a-z]+)/g)].map(found => found[1] ?? '')))
  const parts = readFileSync(`${ROOT}src/element/parts.ts`, 'utf8')
  for (const part of (told?.[2] ?? '').split(/\s+/)) t.match(parts, new RegExp(`make\\('\\w+', '${part}[ ']`), part)
  const attributes = /const ATTRIBUTES = \[([^\]]+)\]/.exec(readFileSync(`${ROOT}src/element/progress-element.ts`, 'utf8'))?.[1] ?? ''
  t.same(sorted([...PAGE.matchAll(/^\| `([a-z-]+)` \|/gm)].map(found => found[1] ?? '')), sorted([...attributes.matchAll(/'([^']+)'/g)].map(found => found[1] ?? '')))
})

t.test('the client with all it needs is as small as is said, and what nobody calls is dropped', async t => {
  const bundle = async (contents: string): Promise<Uint8Array> => {
    const stdin = { contents, resolveDir: ROOT, loader: 'ts' as const }
    const { outputFiles } = await build({ stdin, bundle: true, minify: true, format: 'esm', external: ['react'], write: false, logLevel: 'silent' })
    return outputFiles[0]?.contents ?? new Uint8Array(0)
  }
  const size = gzipSync(await bundle("export * from './src/client/index.ts'"), { level: 9 }).length
  t.comment(`${size} bytes`)
  t.ok(size > 5000 && size <= 10 * 1024, `${size} bytes gzipped`)
  const unused = await bundle("import { defineHeadwayProgress } from './src/element/index.ts'\nimport { createClient } from './src/client/index.ts'\nconsole.log(1)")
  t.ok(unused.length < 100, `${unused.length} bytes are left of what is imported and not used`)
})
