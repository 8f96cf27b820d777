// Escaping, measuring and cutting of text; instants.

import t from 'tap'
import fc from 'fast-check'
import { cutText, escapeText, isLonger, unescapeText, utf8Length } from '../../src/protocol/text.ts'
import { formatTimestamp, parseTimestamp } from '../../src/protocol/timestamp.ts'
import { anyText, longText } from './samples.ts'

t.test('escaped text has no tab and no newline, and comes back', async (t) => {
  fc.assert(fc.property(anyText, (text) => {
    const escaped = escapeText(text)
    return !/[\t\n]/.test(escaped) && unescapeText(escaped) === text
  }), { numRuns: 500 })
  t.equal(escapeText('50%\tof\nit'), '50%25%09of%0Ait')
  t.equal(unescapeText('%zz%2525'), '%zz%25', 'what nobody escaped stays, and nothing is read twice')
})

t.test('bytes are those of UTF-8, lone surrogates included', async () => {
  const withLone = fc.oneof(anyText, fc.string({ unit: 'binary' }), fc.constantFrom('\ud83d', 'a\ude00b', '\ud83d\ud83d\ude00'))
  fc.assert(fc.property(withLone, fc.nat(200), (text, bytesMax) => {
    const bytes = Buffer.byteLength(text)
    return utf8Length(text) === bytes && isLonger(text, bytesMax) === (bytes > bytesMax)
  }), { numRuns: 500 })
})

t.test('a cut text is the longest whole beginning that fits', async () => {
  fc.assert(fc.property(fc.oneof(anyText, longText), fc.nat(600), (text, bytesMax) => {
    const cut = cutText(text, bytesMax)
    const next = String.fromCodePoint(text.codePointAt(cut.length) ?? 0)
    return text.startsWith(cut) && Buffer.byteLength(cut) <= bytesMax && Buffer.from(cut).toString() === cut &&
      (cut === text || Buffer.byteLength(cut + next) > bytesMax)
  }), { numRuns: 500 })
})

t.test('instants without a zone are UTC and microseconds are cut', async (t) => {
  const noon = Date.UTC(2026, 10, 23, 12)
  t.equal(parseTimestamp('2026-11-23T12:00:00'), noon)
  t.equal(parseTimestamp('2026-11-23 12:00:00'), noon)
  t.equal(parseTimestamp('2026-11-23T12:00:00.123999'), noon + 123)
  t.equal(parseTimestamp('2026-11-23T12:00:00.5Z'), noon + 500)
  t.equal(parseTimestamp('2026-11-23T14:00:00+02:00'), noon)
  t.equal(parseTimestamp('2026-11-23T06:30:00.000-0530'), noon)
  t.equal(parseTimestamp(noon + 0.7), noon)
  t.equal(parseTimestamp('1970-01-01T00:00:00Z'), 0)
  const wrong = [
    '', 'yesterday', '2026-11-23', '2026-13-01T00:00:00Z', '2026-04-31T00:00:00Z', '2026-11-23T24:00:00Z', '2026-11-23T12:60:00Z',
    '2026-11-23T12:00:00 Z', '1969-12-31T23:59:59Z', '0050-01-01T00:00:00Z', -1, NaN, Infinity, 1e14, null, undefined, true
  ]
  for (const value of wrong) t.equal(parseTimestamp(value), null, String(value))
})

t.test('every instant comes back as it went', async (t) => {
  fc.assert(fc.property(fc.nat(99_999_999_999_999), (ms) => parseTimestamp(formatTimestamp(ms)) === ms))
  const most = 99_999_999_999_999
  const days = fc.integer({ min: 0, max: 1_157_000 })
  const edges = fc.tuple(days, fc.constantFrom(0, 0.5, 1, 999, 86_399_999)).map(([day, at]) => day * 86_400_000 + at)
  fc.assert(fc.property(fc.oneof(fc.double({ min: 0, max: most, noNaN: true }), edges),
    (ms) => formatTimestamp(ms) === new Date(ms).toISOString()), { numRuns: 2_000 })
  for (const text of ['1970-01-01T00:00:00.000Z', '2000-02-29T12:34:56.007Z', '2100-02-28T23:59:59.999Z', '2100-03-01T00:00:00.000Z', '2400-02-29T00:00:00.042Z']) {
    t.equal(formatTimestamp(Date.parse(text)), text)
  }
  t.equal(formatTimestamp(NaN), '1970-01-01T00:00:00.000Z', 'garbage in a stored column does not stop a reader')
})
