// Names that users choose. `/` and braces are impossible in them, because keys join ids by `/` and hash by braces.

/** Ids of tenants, jobs and items. */
export const ID_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/

/** Prefix of a job's item events; `job` would collide with the job's own events. */
export const ITEM_KIND_PATTERN = /^(?!job$)[a-z][a-z0-9_]{0,31}$/

export function isId (value: unknown): value is string {
  return typeof value === 'string' && ID_PATTERN.test(value)
}

export function isItemKind (value: unknown): value is string {
  return typeof value === 'string' && ITEM_KIND_PATTERN.test(value)
}
