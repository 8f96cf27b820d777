// The names that the random sequences play with: hostile ids that all belong to one partition, and one that does not.

import { partitionOf } from '../../../src/protocol/partition.ts'

export interface JobName { tenant: string, job: string }

/** What a separator, a kind of key or another tenant could be mistaken for. */
const NAMES: readonly JobName[] = [
  { tenant: 'default', job: 'a' },
  { tenant: 'default', job: 'a:log' },
  { tenant: 't:1', job: 'a' },
  { tenant: 'log', job: 'job:default:a' },
  { tenant: 'a.b-c', job: 'l:0' }
]

export interface World {
  partition: number
  partitions: number
  jobs: readonly JobName[]
  /** Belongs to another partition. */
  stranger: JobName
  owns: (tenant: string, job: string) => boolean
}

/** The same names with the first suffix that brings each into the partition. */
export function createWorld (partition: number, partitions: number): World {
  const inside = ({ tenant, job }: JobName, wanted: boolean): JobName => {
    for (let n = 0; ; n++) {
      if ((partitionOf(tenant, `${job}${n}`, partitions) === partition) === wanted) return { tenant, job: `${job}${n}` }
    }
  }
  const jobs = NAMES.map((name) => inside(name, true))
  return {
    partition,
    partitions,
    jobs,
    stranger: inside({ tenant: 'default', job: 'elsewhere' }, false),
    owns: (tenant, job) => partitionOf(tenant, job, partitions) === partition
  }
}
