// Pause, resume and cancel for buttons: what is under way, and what was refused.

import { useCallback, useEffect, useMemo, useRef, useState } from 'react'
import { HeadwayError } from '../client/index.ts'
import type { Client, ControlAction, ControlResult } from '../client/index.ts'
import { useClient } from './provider.ts'

export interface JobControl {
  /** Each resolves with the acknowledged effect, or null when it was refused: see `error`. */
  pause (reason?: string): Promise<ControlResult | null>
  resume (reason?: string): Promise<ControlResult | null>
  cancel (reason?: string): Promise<ControlResult | null>
  /** Sent and not yet acknowledged; null = nothing is. */
  pending: ControlAction | null
  /** Why the last call was refused; null after one that was not. */
  error: HeadwayError | null
}

export function useControl (jobId: string, options: { client?: Client } = {}): JobControl {
  const client = useClient(options.client)
  const [state, setState] = useState<Pick<JobControl, 'pending' | 'error'>>({ pending: null, error: null })
  /** Only the newest call of this job and component tells. */
  const turn = useRef(0)
  useEffect(() => {
    setState({ pending: null, error: null })
    return () => { turn.current++ }
  }, [client, jobId])

  const send = useCallback(async (action: ControlAction, reason?: string): Promise<ControlResult | null> => {
    const mine = ++turn.current
    setState({ pending: action, error: null })
    try {
      const result = await client.control(jobId, action, reason)
      if (mine === turn.current) setState({ pending: null, error: null })
      return result
    } catch (error) {
      if (!(error instanceof HeadwayError)) throw error
      if (mine === turn.current) setState({ pending: null, error })
      return null
    }
  }, [client, jobId])

  return useMemo(() => ({
    ...state,
    pause: reason => send('pause', reason),
    resume: reason => send('resume', reason),
    cancel: reason => send('cancel', reason)
  }), [state, send])
}
