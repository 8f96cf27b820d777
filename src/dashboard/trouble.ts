// What went wrong, in a sentence for the user, and whether another token would mend it.

import { HeadwayError } from '../client/index.ts'

export interface Trouble { text: string, token_refused: boolean }

export function describeTrouble (error: unknown): Trouble {
  if (!(error instanceof HeadwayError)) return { text: 'Headway does not answer. This page tries again by itself.', token_refused: false }
  if (error.code === 'unauthorized' || error.code === 'token_expired') {
    return { text: 'The access token is missing, wrong or expired.', token_refused: true }
  }
  return { text: error.message, token_refused: false }
}
