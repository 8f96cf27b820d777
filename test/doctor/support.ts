// Findings as tests ask for them.

import type { Environment } from '../../src/config/load.ts'
import { examine } from '../../src/doctor/doctor.ts'
import type { Finding } from '../../src/doctor/finding.ts'

export const SECRET = '0123456789abcdef0123456789abcdef'

export async function findingsWith (env: Environment, repair = false): Promise<Finding[]> {
  return await examine({ HEADWAY_JWT_SECRET: SECRET, ...env }, { repair })
}

/** `problem eviction: maxmemory-policy is …`, without what is well. */
export function troubles (findings: readonly Finding[]): string[] {
  return findings.filter(({ level }) => level !== 'ok').map(({ level, check, found }) => `${level} ${check}: ${found}`)
}

export function foundOf (findings: readonly Finding[], check: string): string[] {
  return findings.filter(finding => finding.check === check).map(({ level, found }) => `${level}: ${found}`)
}
