// Programs are found on the PATH, in the order of their names, and nothing is installed that is there.

import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { MissingProgramError, PYTHON_REDIS, REDIS, ensureProgram, findProgram } from '../../src/demo/system-programs.ts'

function program (folder: string, name: string, mode = 0o755): string {
  const file = join(folder, name)
  writeFileSync(file, '#!/bin/sh\n')
  chmodSync(file, mode)
  return file
}

t.test('the first name that is there wins, wherever on the PATH', async t => {
  const [one, two] = [join(t.testdir({ one: {}, two: {} }), 'one'), join(t.testdirName, 'two')]
  const valkey = program(one, 'valkey-server')
  t.equal(findProgram(REDIS.names, `${one}:${two}`), valkey)
  const redis = program(two, 'redis-server')
  t.equal(findProgram(REDIS.names, `${one}:${two}`), redis)
  t.equal(findProgram(REDIS.names, ''), null)
})

t.test('what cannot be run does not count', async t => {
  const folder = t.testdir({ 'redis-server': {} })
  t.equal(findProgram(['valkey-server'], folder), null)
  program(folder, 'valkey-server', 0o644)
  t.equal(findProgram(['valkey-server'], folder), null)
})

t.test('a program without what it is needed for does not count', async t => {
  const folder = t.testdir({})
  const path = program(folder, 'python3')
  const before = process.env['PATH']
  t.teardown(() => { process.env['PATH'] = before })
  process.env['PATH'] = t.testdirName
  t.equal(ensureProgram({ ...PYTHON_REDIS, path: folder, proof: ['-c', 'import redis'] }, () => t.fail('says nothing')), path)
  writeFileSync(path, '#!/bin/sh\nexit 1\n')
  t.match((await failure(() => ensureProgram({ ...PYTHON_REDIS, path: folder }, () => t.fail('says nothing'))))?.message, /python3-redis/)
})

t.test('what is missing and cannot be installed is told with the command and the way by Docker', async t => {
  const before = process.env['PATH']
  t.teardown(() => { process.env['PATH'] = before })
  const folder = t.testdir({})
  process.env['PATH'] = folder
  const fault = await failure(() => ensureProgram(REDIS, () => t.fail('says nothing')))
  t.ok(fault instanceof MissingProgramError)
  t.match(fault?.message, /sudo apt-get install -y redis-server[\s\S]*docker run/)
  program(folder, 'brew')
  t.match((await failure(() => ensureProgram(REDIS, () => {})))?.message, /brew install redis/, 'in the words of the system')
})

async function failure (call: () => unknown): Promise<Error | null> {
  try {
    call()
    return null
  } catch (error) {
    return error as Error
  }
}
