// Which files the sample job takes.

import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { sampleFiles } from '../../src/demo/sample-files.ts'

t.test('every file below a folder, links to files and broken links too, in order', async t => {
  const folder = t.testdir({ b: 'x', a: { c: 'x', '.git': { config: 'x' }, empty: {} } })
  symlinkSync(join(folder, 'b'), join(folder, 'link'))
  symlinkSync(join(folder, 'nowhere'), join(folder, 'broken'))
  symlinkSync(join(folder, 'a'), join(folder, 'to-a-folder'))
  t.same(await sampleFiles(folder, 100), ['a/c', 'b', 'broken', 'link'])
})

t.test('a part is spread over the whole', async t => {
  const folder = t.testdir({})
  for (const part of ['x', 'y', 'z']) {
    mkdirSync(join(folder, part))
    for (let n = 0; n < 10; n++) writeFileSync(join(folder, part, String(n)), '')
  }
  t.same(await sampleFiles(folder, 6), ['x/0', 'x/5', 'y/0', 'y/5', 'z/0', 'z/5'])
  t.equal((await sampleFiles(folder, 30)).length, 30)
})

t.test('a folder that is not there is an error, not an empty job', async t => {
  await t.rejects(sampleFiles(join(t.testdir({}), 'nowhere'), 1), { code: 'ENOENT' })
})
