// H3, H4, H6, H7, H12 with real processes: four faults, a short seed each. More faults and seeds: npm run chaos.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { FAULTS } from './faults.ts'
import { runOnce, wantedOf } from './run.ts'

t.setTimeout(180_000) // processes start slowly on a machine that runs all tests

const folder = mkdtempSync(join(tmpdir(), 'headway-chaos-test-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

for (const [name, seed] of [['gateway-kill', 7], ['subscriber-kill', 8], ['client-churn', 9], ['worker-kill', 10]] as const) {
  t.test(`${name}, seed ${seed}`, async t => {
    const fault = FAULTS.find(fault => fault.name === name)
    if (fault === undefined) throw new Error(`there is no fault ${name}`)
    const { code, text } = await runOnce(fault, seed, true, folder)
    t.equal(code, 0, text)
    t.match(text, /^no violation: 24 clients/)
  })
}

t.test('what can be asked for', async t => {
  t.throws(() => wantedOf([]), { message: /--fault is missing; one of: gateway-kill, / })
  t.throws(() => wantedOf(['--fault', 'nonsense']), { message: /there is no fault "nonsense"; there are: gateway-kill, / })
  t.throws(() => wantedOf(['--fault', 'gateway-kill', '--seed', '-1']), { message: /--seed/ })
  t.throws(() => wantedOf(['--fault', 'gateway-kill', '--sed', '1']), { message: /--sed/ })
  t.equal(wantedOf(['--help']), null)
  t.match(wantedOf(['--fault', 'failover', '--seed', '4', '--seeds', '2', '--quick']), {
    faults: [{ name: 'failover-sentinel' }, { name: 'failover-cluster' }], seeds: [4, 5], quick: true, keep: false
  })
})
