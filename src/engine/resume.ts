// A job's packed state as one text: what the database keeps so that the job can be put back when Redis has lost it.

/** @param gap_ms of its partition: the header's service times are only good with it */
export function packResume (parts: { gap_ms: number, record: string, header: string }): string {
  return `1\t${parts.gap_ms}\n${parts.record}\n${parts.header}`
}
