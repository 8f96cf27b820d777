// An app that knows Supabase alone: it starts a job, does the work, is asked to cancel, and reads how it went, all in its own tables.
// SUPABASE_URL=… SUPABASE_KEY=… ACCESS_TOKEN=… TENANT=… npx node docs/examples/supabase-app.ts job_123
// A server gives its secret key and no token; row-level security does not bind it, so TENANT is what it says.

import { setTimeout as delay } from 'node:timers/promises'
import { createClient } from '@supabase/supabase-js'

const { SUPABASE_URL: url = '', SUPABASE_KEY: key = '', ACCESS_TOKEN: token, TENANT: tenant = 'default' } = process.env
const id = process.argv[2] ?? `job_${Date.now()}`
const supabase = createClient(url, key, token === undefined ? {} : { accessToken: async () => token })
const job = { tenant_id: tenant, job_id: id }

/** What a worker would say; a refusal appears in the row's column `refused`. */
async function tell (type: string, data: object): Promise<void> {
  await supabase.from('job_events').insert({ ...job, type, data, origin: 'app' }).throwOnError()
}

async function read (): Promise<{ state: string, items_completed: number, refused: { code: string, detail: string } | null }> {
  const { data } = await supabase.from('bulk_jobs').select('state, items_completed, refused').eq('tenant_id', tenant).eq('id', id).single().throwOnError()
  if (data.refused !== null) throw new Error(`${data.refused.code}: ${data.refused.detail}`)
  return data
}

async function seen (what: string, holds: (row: Awaited<ReturnType<typeof read>>) => boolean): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    if (holds(await read())) return console.log(what)
    await delay(100)
  }
  throw new Error(`not seen: ${what}`)
}

await supabase.from('bulk_jobs').insert({ tenant_id: tenant, id, title: 'An app of Supabase', items_total: 3 }).throwOnError()
await tell('job.state', { state: 'running' })
await tell('item.update', { id: 'one', state: 'completed' })
await tell('item.update', { id: 'two', state: 'completed' })
await seen('two of three are done', (row) => row.items_completed === 2)
await supabase.from('bulk_jobs').update({ requested_state: 'cancel' }).eq('tenant_id', tenant).eq('id', id).throwOnError()
await seen('it is being canceled', (row) => row.state === 'canceling')
await tell('job.state', { state: 'canceled', reason: 'as it was asked' })
await seen('it is canceled', (row) => row.state === 'canceled')
