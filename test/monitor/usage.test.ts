// Where the limit of memory and CPU is found: files of both versions of cgroups, in containers and units, and the machine without one.
// And one look at the real ones.

import t from 'tap'
import { createUsage } from '../../src/monitor/usage.ts'

const GIB = 2 ** 30
const machine = () => ({ memory: 16 * GIB, free: 4 * GIB, cpus: [{ busy_s: 30, all_s: 100 }, { busy_s: 50, all_s: 100 }] })

function usageOf (files: Record<string, string>, clock = () => 10) {
  return createUsage({ read: path => files[path] ?? null, machine, clock })
}

t.test('version 2, in a container: its own root', async t => {
  const usage = usageOf({
    '/proc/self/cgroup': '0::/\n',
    '/sys/fs/cgroup/memory.max': `${GIB}\n`,
    '/sys/fs/cgroup/memory.current': `${GIB / 2}\n`,
    '/sys/fs/cgroup/memory.stat': `anon 1\ninactive_file ${GIB / 4}\nactive_file 7\n`,
    '/sys/fs/cgroup/cpu.max': '150000 100000\n',
    '/sys/fs/cgroup/cpu.stat': 'usage_usec 6000000\nuser_usec 5000000\n'
  })
  t.same(usage.memory(), { used: GIB / 4, limit: GIB, of: 'cgroup' }, 'pages of files that can be given back do not count')
  t.same(usage.cpu(), { spent: 6, available: 15, of: 'cgroup' })
})

t.test('version 2, a unit: the first limit on the way up', async t => {
  const usage = usageOf({
    '/proc/self/cgroup': '0::/system.slice/headway.service\n',
    '/sys/fs/cgroup/system.slice/headway.service/memory.max': 'max\n',
    '/sys/fs/cgroup/system.slice/headway.service/memory.current': '5\n',
    '/sys/fs/cgroup/system.slice/memory.max': '2000\n',
    '/sys/fs/cgroup/system.slice/memory.current': '500\n',
    '/sys/fs/cgroup/system.slice/headway.service/cpu.max': 'max 100000\n'
  })
  t.same(usage.memory(), { used: 500, limit: 2000, of: 'cgroup' })
  t.same(usage.cpu(), { spent: 80, available: 200, of: 'machine' }, 'CPU has none')
})

t.test('version 1, under the path of the host and in a container that does not see that path', async t => {
  const files = (folder: string): Record<string, string> => ({
    '/proc/self/cgroup': '5:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n',
    [`/sys/fs/cgroup/memory${folder}/memory.limit_in_bytes`]: '1000',
    [`/sys/fs/cgroup/memory${folder}/memory.usage_in_bytes`]: '900',
    [`/sys/fs/cgroup/memory${folder}/memory.stat`]: 'cache 1\ntotal_inactive_file 150',
    [`/sys/fs/cgroup/cpu${folder}/cpu.cfs_quota_us`]: '50000',
    [`/sys/fs/cgroup/cpu${folder}/cpu.cfs_period_us`]: '100000',
    [`/sys/fs/cgroup/cpuacct${folder}/cpuacct.usage`]: '2000000000'
  })
  for (const folder of ['/docker/abc', '']) {
    const usage = usageOf(files(folder))
    t.same(usage.memory(), { used: 750, limit: 1000, of: 'cgroup' }, folder)
    t.same(usage.cpu(), { spent: 2, available: 5, of: 'cgroup' }, folder)
  }
})

t.test('no limit, a limit above the machine, no cgroups at all: the machine', async t => {
  const whole = { used: 12 * GIB, limit: 16 * GIB, of: 'machine' }
  const unlimited = '9223372036854771712'
  t.same(usageOf({ '/sys/fs/cgroup/memory/memory.limit_in_bytes': unlimited, '/sys/fs/cgroup/memory/memory.usage_in_bytes': '5' }).memory(), whole)
  t.same(usageOf({ '/sys/fs/cgroup/memory.max': String(32 * GIB), '/sys/fs/cgroup/memory.current': '5' }).memory(), whole)
  t.same(usageOf({ '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1', '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000' }).cpu().of, 'machine')
  t.same(usageOf({}).memory(), whole)
  t.same(usageOf({}).cpu(), { spent: 80, available: 200, of: 'machine' })
  t.same(usageOf({ '/proc/self/cgroup': 'nonsense\n\n0::/../../x', '/sys/fs/cgroup/memory.max': 'words', '/sys/fs/cgroup/memory.current': '' }).memory(), whole)
})

t.test('for real', async t => {
  const usage = createUsage()
  const memory = usage.memory()
  t.ok(memory.used > 10_000_000 && memory.used < memory.limit, `${memory.used} of ${memory.limit}, of the ${memory.of}`)
  const before = usage.cpu()
  let now = usage.cpu()
  for (let spin = 0; now.spent <= before.spent; spin++) now = usage.cpu()
  t.ok(now.available > before.available, 'time that was spent is time that was there')
  t.ok(now.spent - before.spent <= (now.available - before.available) * 1.5, `of the ${now.of}`)
})
