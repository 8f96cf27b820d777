// H8, H9 with real processes: a fault between persisters and database, a short seed. More: npm run chaos -- --fault supabase.

import t from 'tap'
import { SINK_FAULTS } from './sink-faults.ts'
import { INBOUND_FAULTS } from './sink-inbound-faults.ts'
import { runSinkScenario } from './sink-scenario.ts'

t.setTimeout(300_000)

for (const name of ['supabase-lost-reply', 'supabase-poison', 'supabase-wrong-key', 'supabase-expired-channel']) {
  t.test(name, async (t) => {
    const fault = [...SINK_FAULTS, ...INBOUND_FAULTS].find((one) => one.name === name)
    if (fault === undefined) throw new Error(`there is no fault ${name}`)
    const { violations, summary } = await runSinkScenario({ fault, seed: 3, quick: true })
    t.same(violations, [])
    t.match(summary, /^\d+ jobs, \d{3} events each once/)
  })
}
