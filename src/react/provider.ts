// Hands the client down the tree.

import { createContext, createElement, useContext } from 'react'
import type { ReactElement, ReactNode } from 'react'
import type { Client } from '../client/index.ts'

const ClientContext = createContext<Client | null>(null)

export interface HeadwayProviderProps {
  /** Made once, outside of components or in a useState: a new one is a new connection. */
  client: Client
  children?: ReactNode
}

export function HeadwayProvider ({ client, children }: HeadwayProviderProps): ReactElement {
  return createElement(ClientContext.Provider, { value: client }, children)
}

/**
 * @param given preferred to that of the provider
 * @throws Error when there is neither
 */
export function useClient (given?: Client): Client {
  const provided = useContext(ClientContext)
  const client = given ?? provided
  if (client === null) throw new Error('There is no Headway client: put a <HeadwayProvider client={…}> above, or give the hook { client }.')
  return client
}
