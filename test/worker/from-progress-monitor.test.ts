// docs/from-progress-monitor.md tells of nothing that is not there.

import { readFileSync } from 'node:fs'
import t from 'tap'
import * as sdk from '../../src/worker/index.ts'

const text = readFileSync(new URL('../../docs/from-progress-monitor.md', import.meta.url), 'utf8')

t.test('every method that it maps to is one of the monitor or the calculator', async t => {
  const rows = [...text.matchAll(/^\| `(\w+)\([^|]*\| `(\w+)\(/gm)].map(([, there = '', here = '']) => ({ there, here }))
  t.equal(rows.length, 9)
  t.same(rows.filter(({ here }) => !(here in sdk.ProgressMonitor.prototype)), [])
  t.same(rows.filter(({ there, here }) => there.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase()) !== here), [], 'its own name')
  t.ok('calculateProgress' in sdk.ProgressCalculator.prototype)
  for (const name of ['JobState', 'VideoState', 'EventType']) t.ok(text.includes(`\`${name}`) && name in sdk, name)
})
