// H12 behind a real haproxy: gateways are restarted in turn, leave and join, and nobody misses anything. Whole runs, which judge how
// long a client was away too: npm run chaos -- --fault rolling-restart, scale.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { FAULTS } from './faults.ts'
import { haproxyBinary } from './haproxy.ts'
import { readRecord } from './record.ts'
import { runOnce } from './run.ts'

t.setTimeout(230_000)

const folder = mkdtempSync(join(tmpdir(), 'headway-chaos-rolling-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))
const skip = haproxyBinary() === null ? 'haproxy is not installed (Debian: apt-get install haproxy)' : false

for (const [name, seed, told] of [
  ['rolling-restart', 11, /is back$/], ['scale-in', 12, /is alone and holds [1-9]/], ['scale-out', 13, /holds [1-9]\d* connections$/]
] as const) {
  t.test(`${name}, seed ${seed}`, { skip }, async t => {
    const fault = FAULTS.find(fault => fault.name === name)
    if (fault === undefined) throw new Error(`there is no fault ${name}`)
    const { code, text, file } = await runOnce(fault, seed, true, folder)
    t.equal(code, 0, text)
    t.match(text, /^no violation: 24 clients/)
    t.comment(text)
    t.ok(readRecord(file).some(line => line.k === 'fault' && told.test(line.what)), 'it came that far')
  })
}
