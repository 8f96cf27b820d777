// docs/from-progress-monitor.md tells of nothing that is not there.

import { readFileSync } from 'node:fs'
import t from 'tap'
import * as sdk from '../../src/worker/index.ts'

const text = readFileSync(new URL('../../docs/from-progress-monitor.md', import.meta.url), 'utf8')
const [there, missing] = text.split('Not in the worker SDK yet') as [string, string]

t.test('every method that it maps to is one of the monitor or the calculator', async t => {
  const methods = [...there.matchAll(/\| `(\w+)\(jobId/g)].map(found => found[1]!)
  t.ok(methods.length >= 4)
  t.same(methods.filter(name => !(name in sdk.ProgressMonitor.prototype)), [])
  t.ok('calculateProgress' in sdk.ProgressCalculator.prototype)
  for (const name of ['JobState', 'VideoState', 'EventType']) t.ok(there.includes(`\`${name}`) && name in sdk, name)
})

t.test('what it calls missing is missing', async t => {
  const names = [...missing.matchAll(/^\| `(\w+)\(/gm)].map(found => found[1]!.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase()))
  t.equal(names.length, 5)
  t.same(names.filter(name => name in sdk.ProgressMonitor.prototype), [], 'move it to the first table')
})
