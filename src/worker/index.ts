// The SDK for workers: everything that an application imports.

export { ProgressMonitor } from './progress-monitor.ts'
export type { CallOptions, Log, ProgressMonitorOptions, StateOptions } from './progress-monitor.ts'
export type { JobControl, Transport } from './transport.ts'
export { HeadwayError } from '../protocol/errors.ts'
export type { ErrorCode } from '../protocol/errors.ts'
export type { ItemState, JobState } from '../protocol/states.ts'
export type { HeartbeatData, ItemData, ProgressData, RegisterData } from '../protocol/worker-events.ts'
