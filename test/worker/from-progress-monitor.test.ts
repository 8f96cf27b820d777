// docs/from-progress-monitor.md tells of nothing that is not there.

import { readFileSync } from 'node:fs'
import t from 'tap'
import * as sdk from '../../src/worker/index.ts'

const text = readFileSync(new URL('../../docs/from-progress-monitor.md', import.meta.url), 'utf8')

const testsOf = (file: string): string[] =>
  [...readFileSync(new URL(file, import.meta.url), 'utf8').matchAll(/^t\.test\('([^']+)'/gm)].map(([, title = '']) => title)

t.test('every example has a twin that runs', async t => {
  const twins = [...text.matchAll(/\| "([^"]+)" \|/g)].map(([, title = '']) => title)
  t.equal(twins.length, 8)
  const tests = new Set([...testsOf('source-document.test.ts'), ...testsOf('names.test.ts')])
  t.same(twins.filter(title => !tests.has(title)), [])
})

t.test('every method that it maps to is one of the monitor or the calculator', async t => {
  const rows = [...text.matchAll(/^\| `(\w+)\([^|]*\| `(\w+)\(/gm)].map(([, there = '', here = '']) => ({ there, here }))
  t.equal(rows.length, 9)
  t.same(rows.filter(({ here }) => !(here in sdk.ProgressMonitor.prototype)), [])
  t.same(rows.filter(({ there, here }) => there.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase()) !== here), [], 'its own name')
  t.ok('calculateProgress' in sdk.ProgressCalculator.prototype)
  for (const name of ['JobState', 'VideoState', 'EventType']) t.ok(text.includes(`\`${name}`) && name in sdk, name)
})
