// Ids, partitions and cursors: what keys and positions are made of.

import t from 'tap'
import fc from 'fast-check'
import { formatCursor, parseCursor } from '../../src/protocol/cursor.ts'
import { isId, isItemKind } from '../../src/protocol/ids.ts'
import { crc16, partitionOf } from '../../src/protocol/partition.ts'

t.test('ids are at most 128 safe characters and begin with a letter or digit', async (t) => {
  for (const id of ['a', '0', 'job_123', 'a:log', 'A.b-c:d_e', 'x'.repeat(128)]) t.ok(isId(id), id)
  for (const id of ['', '_a', '-a', ':a', 'a/b', 'a b', 'a{b}', 'a\n', 'é', 'x'.repeat(129), 7, null, undefined]) t.notOk(isId(id), String(id))
})

t.test('item kinds are lower case and never `job`', async (t) => {
  for (const kind of ['video', 'a', 'job_item', 'jobs', 'x'.repeat(32)]) t.ok(isItemKind(kind), kind)
  for (const kind of ['job', 'Video', '1a', 'a-b', '', 'video\n', 'x'.repeat(33), null]) t.notOk(isItemKind(kind), String(kind))
})

t.test('crc16 is XMODEM over UTF-8', async (t) => {
  t.equal(crc16('123456789'), 0x31C3)
  t.equal(crc16(''), 0)
  // Python: binascii.crc_hqx('default/job_123'.encode(), 0), and the same of 'é€😀'
  t.equal(crc16('default/job_123'), 61089)
  t.equal(crc16('é€😀'), 24431)
})

t.test('a partition is always one of those there are', async () => {
  fc.assert(fc.property(fc.string(), fc.string(), fc.integer({ min: 0, max: 10 }), (tenant, job, power) => {
    const partition = partitionOf(tenant, job, 2 ** power)
    return Number.isInteger(partition) && partition >= 0 && partition < 2 ** power && partition === crc16(`${tenant}/${job}`) % 2 ** power
  }))
})

t.test('cursors come back as they went', async (t) => {
  fc.assert(fc.property(fc.nat(4e14), fc.nat(1e9), (epoch, seq) => {
    const cursor = parseCursor(formatCursor({ epoch, seq }))
    return cursor !== null && cursor.epoch === epoch && cursor.seq === seq
  }))
  for (const text of ['', '1', '1.', '.1', '1.2.3', '-1.2', '1.2 ', '1e3.1', `${'9'.repeat(16)}.1`, 'a.b']) t.equal(parseCursor(text), null, text)
})
