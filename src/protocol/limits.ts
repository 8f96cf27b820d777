// Every promised bound that is fixed, with what happens at it; those that can be set stand in src/config/schema.ts.
// Bytes are UTF-8 bytes. A test compares the numbers that the Lua scripts have too.

/** One event: a packed line, or the fields of a flat entry. Beyond: refused, event_too_large. */
export const EVENT_BYTES_MAX = 16_384
/** Events of one packed entry. Beyond: refused, entry_too_large. */
export const ENTRY_EVENTS_MAX = 64
/** One packed entry. Beyond: refused, entry_too_large. */
export const ENTRY_BYTES_MAX = 65_536
/** Events of one POST /v1/events. Beyond: refused, invalid_field. */
export const EVENTS_PER_POST_MAX = 1_000

/** Titles of jobs and items. Beyond: cut; an item is marked truncated. */
export const TITLE_BYTES_MAX = 512
/** An item's error and its result: a string's text, any other value's JSON text. Beyond: cut and marked truncated. */
export const TEXT_BYTES_MAX = 2_048
/** Reasons. Beyond: cut. */
export const REASON_BYTES_MAX = 512
/** Kinds, worker names, acknowledged request ids. Beyond: cut. */
export const LABEL_BYTES_MAX = 128
/** Correlation ids. Beyond: refused, invalid_field. */
export const CORRELATION_ID_BYTES_MAX = 128
/** JSON text of a job's metadata. Beyond: refused, invalid_field. */
export const METADATA_BYTES_MAX = 4_096
/** Nesting of an event's data, itself being the first level. Beyond: refused, too_deep. */
export const JSON_DEPTH_MAX = 16
/** Any whole number on the wire: Lua prints at most 14 digits exactly. Beyond: refused, invalid_field. */
export const NUMBER_MAX = 99_999_999_999_999

/** Items of a snapshot, those last logged. The rest is read by pages. */
export const SNAPSHOT_ITEMS_MAX = 50
/** How long a subscription may wait for a job that is not registered yet. */
export const WAIT_MS_MAX = 60_000
/** How long a socket may stay without authentication. Beyond: closed with 4408. */
export const AUTHENTICATE_MS_MAX = 5_000
/** How long a write waits for its effect. Beyond: 202 unconfirmed. */
export const CONFIRM_MS_MAX = 2_000

/** Rows of a list when `limit` is absent. */
export const LIST_LIMIT_DEFAULT = 50
export const LIST_LIMIT_MAX = 500

/** Durations kept of a job; older ones are forgotten. */
export const DURATION_SAMPLES_MAX = 100

/** When a rate limit without `retry_at` ends by itself. */
export const RATE_LIMIT_MS_DEFAULT = 60_000
/** How long items must be out of processing before a pause or cancel is done. */
export const SETTLE_MS = 1_000

/** A single-use ticket. Beyond: unauthorized. */
export const TICKET_MS = 30_000
/** How long an Idempotency-Key is known. */
export const IDEMPOTENCY_MS = 24 * 3_600_000
/** How long a request of a key counts as under way when its gateway died meanwhile. */
export const IDEMPOTENCY_BUSY_MS = 30_000
/** An answer that is kept for an Idempotency-Key. Beyond: it is not kept, a repeat is carried out again. */
export const IDEMPOTENT_ANSWER_BYTES_MAX = 524_288
/** What a rejected entry of POST /v1/events is told. Beyond: cut. */
export const REJECTION_BYTES_MAX = 256
