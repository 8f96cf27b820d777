// The SDK for browsers and Node >= 22: everything that an application imports.

export { createClient } from './client.ts'
export type { Client, ClientOptions } from './client.ts'
export type { ControlResult, EventData, EventOf, EventType, FinalData } from './events.ts'
export { HttpError } from './http.ts'
export type { Http, Page, PageQuery, ReadOptions } from './http.ts'
export type { Clock, SocketFactory, SocketLike, TokenSource } from './platform.ts'
export type { Connection, WatchView } from './view.ts'
export type { JobWatch } from './watch.ts'
export { HeadwayError } from '../protocol/errors.ts'
export type { ErrorCode } from '../protocol/errors.ts'
export type { ItemView, JobMessage, JobMetrics, JobView } from '../protocol/messages.ts'
export type { ControlAction, ItemState, JobState } from '../protocol/states.ts'
