// Bad input: each has its documented answer, stands among the dead letters, and what follows it is unharmed. Holds H2.

import t from 'tap'
import { createEngine } from '../../src/engine/engine.ts'
import { onEachTopology, randomPrefix } from '../support/topology.ts'
import { flatFaults, lineFaults } from './model/faults.ts'
import { createWorld } from './model/world.ts'

const PARTITIONS = 8

await onEachTopology(t, async (t, topology) => {
  const engine = createEngine({ redis_url: topology.url, prefix: randomPrefix(), partitions: PARTITIONS })
  await engine.start({ drain: false })
  t.teardown(() => engine.stop())
  const world = createWorld(3, PARTITIONS)
  const [name] = world.jobs as [typeof world.stranger]
  const { ingest, rejected } = engine.keys.partition(world.partition)
  const { redis } = topology
  await redis.xadd(ingest, '*', 'type', 'job.register', 'job', name.job, 'data', '{"items_total":3,"state":"running"}')
  await engine.drain(world.partition)

  const codesOf = async (fields: (string | Buffer)[]): Promise<string[]> => {
    const before = (await redis.xrevrange(rejected, '+', '-', 'COUNT', 1))[0]?.[0] ?? '0'
    await redis.xadd(ingest, '*', ...fields)
    await engine.drain(world.partition)
    const letters = await redis.xrange(rejected, `(${before}`, '+')
    return letters.map(([, letter]) => letter[letter.indexOf('code') + 1] ?? '')
  }
  const show = (fields: (string | Buffer)[]): string => fields.map((field) => field.toString().slice(0, 80)).join(' ')

  await t.test('flat entries', async (t) => {
    for (const { codes, fields } of flatFaults(name)) {
      const found = await codesOf(fields)
      t.ok(found.length === 1 && codes.includes(found[0] ?? ''), `${show(fields)}: ${codes.join(' or ')}`, { found })
    }
  })

  await t.test('a registration in a state that only the job itself can reach, known job or not', async (t) => {
    for (const { tenant, job } of world.jobs.slice(0, 2)) {
      const fields = ['type', 'job.register', 'tenant', tenant, 'job', job, 'data', '{"items_total":3,"state":"completed"}']
      t.same(await codesOf(fields), ['invalid_field'], job)
    }
  })

  await t.test('lines of a batch, between two that are fine', async (t) => {
    for (const { codes, line } of lineFaults(name)) {
      const beat = `h\t${name.tenant}\t${name.job}\t\t\t`
      const found = await codesOf(['b', ['1', beat, line, beat].join('\n')])
      t.ok(found.length === 1 && codes.includes(found[0] ?? ''), `${line}: ${codes.join(' or ')}`, { found })
    }
  })

  await t.test('whole batches', async (t) => {
    const beat = `h\t${name.tenant}\t${name.job}\t\t\t`
    const form = ['malformed_entry', 'invalid_field']
    const batches: [string, readonly string[]][] = [
      ['', form],
      ['nonsense', form],
      [`1\n${`h\t\t\t\t\t\n${beat}`}`, [...form, 'unknown_job']],
      [['1', ...Array<string>(65).fill(beat)].join('\n'), ['entry_too_large']],
      [['1', ...Array<string>(5).fill(`${beat}${'w'.repeat(14_000)}`)].join('\n'), ['entry_too_large']]
    ]
    for (const [batch, codes] of batches) {
      const found = await codesOf(['b', batch])
      t.ok(found.length === 1 && codes.includes(found[0] ?? ''), `${show([batch])}: ${codes.join(' or ')}`, { found })
    }
  })

  await t.test('what follows is unharmed', async (t) => {
    await redis.xadd(ingest, '*', 'type', 'item.update', 'job', name.job, 'data', '{"id":"i1","state":"completed"}')
    await engine.drain(world.partition)
    const read = await engine.readJob(name.tenant, name.job)
    t.match(read?.job, { state: 'running', seq: 1, rev: 2, counted: { completed: 1 } })
  })

  await t.test('a line without an address after a refused one never lands on another job', async (t) => {
    const [, second] = world.jobs as [typeof name, typeof name]
    await engine.submit({ type: 'job.register', ...second, data: { state: 'running' } })
    const address = `${name.tenant}\t${name.job}`
    const stray = `i\t\t\t\tstray\tprocessing${'\t'.repeat(14)}`
    const unknown = `z\t${second.tenant}\t${second.job}\t\tfuture`
    t.same(await codesOf(['b', ['1', `h\t${address}\t\t\t`, unknown, stray].join('\n')]), ['unknown_type', 'invalid_field'])
    t.same(await codesOf(['b', ['1', `h\t${address}\t\t\t`, 'z\t\t\t\tfuture', stray].join('\n')]), ['unknown_type'], 'here the address is not in doubt')
    const itemsOf = async ({ tenant, job }: typeof name): Promise<string[] | undefined> =>
      (await engine.readJob(tenant, job))?.items.map(({ id }) => id).filter((id) => id === 'stray')
    t.same(await Promise.all([itemsOf(name), itemsOf(second)]), [['stray'], []])
  })
})
