// <headway-progress job="job_123"></headway-progress>: a job's progress in any page, without a framework.
//
//   import { createClient } from 'headway/client'
//   import { defineHeadwayProgress } from 'headway/element'
//   defineHeadwayProgress(createClient({ url, getToken }))
//
// Attributes: `job` (its id), `label` (else the job's title), `controls` (buttons for pause, resume, cancel), `wait-ms`.
// Events: `headway-change` (detail: the view), `headway-end` (detail: the job). Colours and sizes: the CSS variables in style.ts.

export { defineHeadwayProgress } from './progress-element.ts'
export type { HeadwayProgressElement, HeadwayProgressOptions } from './progress-element.ts'
export { TEXTS } from './texts.ts'
export type { Texts } from './texts.ts'
