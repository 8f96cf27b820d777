// Where a job lives: CRC16/XMODEM of `<tenant>/<job>`, as Python's binascii.crc_hqx(bytes, 0) computes it.

const TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1
  return crc & 0xffff
})

/** CRC16/XMODEM (polynomial 0x1021, start 0) over the UTF-8 bytes of `text`. */
export function crc16 (text: string): number {
  let crc = 0
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit > 0x7f) return crc16Bytes(new TextEncoder().encode(text))
    crc = ((crc << 8) & 0xffff) ^ TABLE[(crc >> 8) ^ unit]!
  }
  return crc
}

function crc16Bytes (bytes: Uint8Array): number {
  let crc = 0
  for (const byte of bytes) crc = ((crc << 8) & 0xffff) ^ TABLE[(crc >> 8) ^ byte]!
  return crc
}

/** @param partitions number of partitions of the deployment, a power of two */
export function partitionOf (tenant: string, job: string, partitions: number): number {
  return crc16(`${tenant}/${job}`) % partitions
}
