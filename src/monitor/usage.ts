// How much of its memory and CPU this process's world has used: the cgroup where it has a limit (a container, a unit), else the machine.
// Without a limit of its own a process dies of what the machine lacks, whoever took it.

import { readFileSync } from 'node:fs'
import { cpus, freemem, totalmem } from 'node:os'

export interface MemoryUse { used: number, limit: number, of: 'cgroup' | 'machine' }
/** Time spent and time there was, s, both since some beginning: the share is of differences. */
export interface CpuTime { spent: number, available: number, of: 'cgroup' | 'machine' }

export interface UsageParams {
  /** @returns a file's text, null when it cannot be read */
  read?: (path: string) => string | null
  machine?: () => { memory: number, free: number, cpus: readonly { busy_s: number, all_s: number }[] }
  /** s, monotonic. */
  clock?: () => number
}

export interface Usage {
  memory (): MemoryUse
  cpu (): CpuTime
}

const ROOT = '/sys/fs/cgroup'
/** What version 1 writes for "no limit" is about 2^63, rounded to pages. */
const NO_LIMIT = 2 ** 60

const secondsNow = (): number => performance.now() / 1000

export function createUsage ({ read = readOrNull, machine = readMachine, clock = secondsNow }: UsageParams = {}): Usage {
  const paths = pathsOf(read('/proc/self/cgroup') ?? '')
  const number = (path: string): number | null => {
    const text = read(path)?.trim()
    return text === undefined || text === '' || Number.isNaN(Number(text)) ? null : Number(text)
  }
  const statistic = (path: string, name: string): number => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(read(path) ?? '')?.[1] ?? 0)

  /** Pages of files that nobody has used lately are given back before anybody dies of them. */
  function memoryOf (folder: string, limitFile: string, usedFile: string, fileStatistic: string): { used: number, limit: number } | null {
    const limit = number(`${folder}/${limitFile}`)
    const used = number(`${folder}/${usedFile}`)
    if (limit === null || used === null || limit >= NO_LIMIT) return null
    return { limit, used: Math.max(0, used - statistic(`${folder}/memory.stat`, fileStatistic)) }
  }

  /** @returns cores that may be used, and s that were */
  function cpuOf (folder: string): { cores: number, spent: number } | null {
    const [quota = 'max', period = '100000'] = (read(`${folder}/cpu.max`) ?? '').trim().split(/\s+/)
    if (!(Number(quota) > 0)) return null
    return { cores: Number(quota) / Number(period), spent: statistic(`${folder}/cpu.stat`, 'usage_usec') / 1e6 }
  }

  function cpuOfVersion1 (folder: string, accountFolder: string): { cores: number, spent: number } | null {
    const [quota, period, spent] = [number(`${folder}/cpu.cfs_quota_us`), number(`${folder}/cpu.cfs_period_us`), number(`${accountFolder}/cpuacct.usage`)]
    if (quota === null || period === null || spent === null || quota <= 0) return null
    return { cores: quota / period, spent: spent / 1e9 }
  }

  return {
    memory () {
      const { memory, free } = machine()
      const found = first(paths.unified, folder => memoryOf(folder, 'memory.max', 'memory.current', 'inactive_file')) ??
        first(paths.memory, folder => memoryOf(folder, 'memory.limit_in_bytes', 'memory.usage_in_bytes', 'total_inactive_file'))
      // A limit above what the machine has is none.
      return found !== null && found.limit < memory ? { ...found, of: 'cgroup' } : { used: memory - free, limit: memory, of: 'machine' }
    },
    cpu () {
      const found = first(paths.unified, cpuOf) ?? first(paths.cpu, (folder, at) => cpuOfVersion1(folder, paths.cpuacct[at] ?? paths.cpuacct.at(-1) ?? ''))
      if (found !== null) return { spent: found.spent, available: found.cores * clock(), of: 'cgroup' }
      const cores = machine().cpus
      return { spent: sum(cores.map(core => core.busy_s)), available: sum(cores.map(core => core.all_s)), of: 'machine' }
    }
  }
}

/** Folders to look into, own first, then those around it: whichever has a limit. In a container the own one is the root. */
function pathsOf (text: string): Record<'unified' | 'memory' | 'cpu' | 'cpuacct', string[]> {
  const lines = text.split('\n').map(line => line.split(/:(.*?):(.*)/s))
  const own = (controller: string): string => lines.find(([, controllers = '']) => controllers.split(',').includes(controller))?.[2] ?? '/'
  const above = (base: string, path: string): string[] => {
    const parts = path.split('/').filter(part => part !== '' && part !== '..')
    return Array.from({ length: parts.length + 1 }, (_, dropped) => [base, ...parts.slice(0, parts.length - dropped)].join('/'))
  }
  return {
    unified: above(ROOT, own('')),
    memory: above(`${ROOT}/memory`, own('memory')),
    cpu: above(`${ROOT}/cpu`, own('cpu')),
    cpuacct: above(`${ROOT}/cpuacct`, own('cpuacct'))
  }
}

function first<T> (folders: readonly string[], look: (folder: string, at: number) => T | null): T | null {
  for (const [at, folder] of folders.entries()) {
    const found = look(folder, at)
    if (found !== null) return found
  }
  return null
}

function sum (numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0)
}

function readOrNull (path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}

function readMachine (): ReturnType<NonNullable<UsageParams['machine']>> {
  return {
    memory: totalmem(),
    free: freemem(),
    cpus: cpus().map(({ times: { user, nice, sys, idle, irq } }) => {
      const busy = user + nice + sys + irq
      return { busy_s: busy / 1000, all_s: (busy + idle) / 1000 }
    })
  }
}
