// Where jobs stand, at the price of one field each: for those that hear of them and want to know that they missed nothing.

import type { Connections } from './connections.ts'
import type { Keys } from './keys.ts'
import { headerPosition } from './packed.ts'
import type { HeaderPosition } from './packed.ts'

export type ReadPosition = (tenant: string, id: string) => Promise<HeaderPosition | null>

export function createReadPosition ({ connections, keys }: { connections: Connections, keys: Keys }): ReadPosition {
  return async (tenant, id) => {
    const header = await connections.command.hget(keys.job(tenant, id).key, '_')
    return header === null ? null : headerPosition(header)
  }
}
