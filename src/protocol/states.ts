// The states of jobs and items, and who may move a job where. Complete tables: the compiler misses nothing.

export const JOB_STATES = [
  'pending', 'running', 'pausing', 'paused', 'completing', 'completed', 'canceling', 'canceled', 'failed'
] as const
export type JobState = typeof JOB_STATES[number]

export const TERMINAL_JOB_STATES = ['completed', 'canceled', 'failed'] as const
export type TerminalJobState = typeof TERMINAL_JOB_STATES[number]

export function isTerminal (state: JobState): state is TerminalJobState {
  return state === 'completed' || state === 'canceled' || state === 'failed'
}

/**
 * Where a worker's state request may move a job. A request for the state the job is in is accepted and changes
 * nothing. `running` on pausing and paused needs `resume: true`; without it, and on completing and canceling,
 * it is accepted without effect.
 */
export const WORKER_TARGETS: Record<JobState, readonly JobState[]> = {
  pending: ['running', 'completing', 'completed', 'canceled', 'failed'],
  running: ['pausing', 'completing', 'completed', 'canceling', 'failed'],
  pausing: ['running', 'paused', 'completing', 'completed', 'canceling', 'failed'],
  paused: ['running', 'canceling', 'canceled', 'failed'],
  completing: ['completed', 'failed'],
  completed: [],
  canceling: ['canceled', 'failed'],
  canceled: [],
  failed: []
}

export const CONTROL_ACTIONS = ['pause', 'resume', 'cancel'] as const
export type ControlAction = typeof CONTROL_ACTIONS[number]

/**
 * What a user's action does in each state: the state it leads to, `same` (accepted, nothing changes) or null
 * (refused as invalid_transition). Two targets depend on the job: see `resume` of a job that never ran and
 * `cancel` of a paused job with items in processing.
 */
export const CONTROL_TARGETS: Record<ControlAction, Record<JobState, JobState | 'same' | null>> = {
  pause: {
    pending: 'paused',
    running: 'pausing',
    pausing: 'same',
    paused: 'same',
    completing: null,
    completed: null,
    canceling: null,
    canceled: null,
    failed: null
  },
  resume: {
    pending: 'same',
    running: 'same',
    pausing: 'running',
    paused: 'running', // pending when it never ran
    completing: null,
    completed: null,
    canceling: null,
    canceled: null,
    failed: null
  },
  cancel: {
    pending: 'canceled',
    running: 'canceling',
    pausing: 'canceling',
    paused: 'canceled', // canceling while items are in processing
    completing: null,
    completed: null,
    canceling: 'same',
    canceled: 'same',
    failed: null
  }
}

export const ITEM_STATES = ['pending', 'processing', 'completed', 'failed', 'skipped', 'canceled'] as const
export type ItemState = typeof ITEM_STATES[number]

/** Where an update of the same attempt may move an item. `failed → processing` is a retry: the next attempt. */
export const ITEM_TARGETS: Record<ItemState, readonly ItemState[]> = {
  pending: ['processing', 'completed', 'failed', 'skipped', 'canceled'],
  processing: ['completed', 'failed', 'skipped', 'canceled'],
  completed: [],
  failed: ['processing'],
  skipped: [],
  canceled: []
}
