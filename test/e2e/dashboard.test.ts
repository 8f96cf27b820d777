// The dashboard in a real browser, with a real job: progress moves, pause, resume, cancel.

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createCompressPool } from '../../src/demo/compress-pool.ts'
import { runSampleJob } from '../../src/demo/sample-job.ts'
import { sampleFiles } from '../../src/demo/sample-files.ts'
import { ProgressMonitor } from '../../src/worker/index.ts'
import { startRedis } from '../support/redis.ts'
import { until } from '../support/wait.ts'
import { openPage, progressOf, startBrowser } from './browser.ts'
import { TENANT, startGatewayProcess, tokenOf } from './support.ts'

t.setTimeout(180_000) // processes start slowly on a machine that runs all tests

const FILES = 600
const SIZE_LIMIT_BYTES = 64 * 1024

/** Texts that take brotli some milliseconds each, one that cannot be read, one that is too large. */
function makeFolder (t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'headway-files-'))
  t.teardown(() => { rmSync(folder, { recursive: true }) })
  mkdirSync(join(folder, 'more'))
  const text = Array.from({ length: 4000 }, (_, n) => `line ${n * 7919 % 4001}`).join('\n')
  for (let n = 2; n < FILES; n++) writeFileSync(join(folder, n % 2 === 0 ? '' : 'more', `file-${n}.txt`), text + n)
  symlinkSync(join(folder, 'nowhere'), join(folder, 'a-broken-link'))
  writeFileSync(join(folder, 'b-too-large.bin'), Buffer.alloc(SIZE_LIMIT_BYTES + 1))
  return folder
}

t.test('the dashboard follows a job and steers it', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const { url } = await startGatewayProcess(t, redis.url)
  const browser = await startBrowser(t)
  const token = await tokenOf()
  const folder = makeFolder(t)

  function startJob (jobId: string): Promise<string> {
    const monitor = new ProgressMonitor({ redisUrl: redis.url, tenantId: TENANT })
    const pool = createCompressPool(2)
    const stop = new AbortController()
    const limits = { quality: 11, size_limit_bytes: SIZE_LIMIT_BYTES, time_limit_ms: 10_000 }
    const ended = sampleFiles(folder, FILES).then(files => runSampleJob({
      ...limits, monitor, pool, job_id: jobId, folder, files, signal: stop.signal
    }))
    t.teardown(async () => {
      stop.abort()
      await pool.stop()
      await ended.catch(() => {}) // a test that failed has told why
      await monitor.close()
    })
    return ended
  }

  await t.test('without a token it asks for one, and says when it is no good', async t => {
    const { page } = await openPage(browser)
    await page.goto(url)
    await page.getByLabel('Token').fill('not.a.token')
    await page.getByRole('button', { name: 'Open' }).click()
    await page.getByText('missing, wrong or expired').waitFor()
    t.ok(await page.getByLabel('Token').isVisible(), 'and asks again')
    await page.context().close()
  })

  await t.test('progress moves, pause holds it, resume goes on, failures are told, cancel ends it', async t => {
    const ended = startJob('sample-1')
    const { page, complaints } = await openPage(browser)
    await page.goto(`${url}/#token=${token}`)
    t.notMatch(page.url(), /token/, 'the token has left the address')
    await page.getByRole('link', { name: /^Compress 600 files/ }).click()
    await page.locator('#connection').getByText('Live').waitFor()
    const early = await progressOf(page)
    await until(async () => await progressOf(page) > early, { what: 'progress moves', timeout_ms: 20_000 })

    await page.getByRole('button', { name: 'Pause' }).focus()
    await page.keyboard.press('Enter')
    await page.locator('.state.paused').waitFor()
    await page.getByText(/^Paused: /).waitFor()
    const held = await progressOf(page)
    await page.getByRole('tab', { name: /Failures/ }).click()
    await page.locator('.failures').getByText('more than the limit').waitFor()
    await page.locator('.failures').getByText('no such file').waitFor()
    t.equal(await progressOf(page), held, 'nothing moves while paused')

    await page.getByRole('button', { name: 'Resume' }).click()
    await until(async () => await progressOf(page) > held, { what: 'progress moves again', timeout_ms: 20_000 })

    await page.getByRole('button', { name: 'Cancel', exact: true }).click()
    await page.getByRole('button', { name: 'Keep it' }).click()
    t.ok(await page.locator('.state.running').isVisible(), 'a cancel can be thought over')
    await page.getByRole('button', { name: 'Cancel', exact: true }).click()
    await page.getByRole('button', { name: 'Cancel the job' }).click()
    await page.locator('.state.canceled').waitFor()
    t.equal(await ended, 'canceled', 'the worker obeyed')
    t.ok(await progressOf(page) < 100)
    t.same(complaints, [], 'the browser has nothing to complain about')
    await page.context().close()
  })

  await t.test('on a narrow dark screen a job runs to its end, whatever its title holds', async t => {
    const monitor = new ProgressMonitor({ redisUrl: redis.url, tenantId: TENANT })
    t.teardown(() => monitor.close())
    const title = '<img src=x onerror=alert(1)> & "quotes"'
    await monitor.registerJob('small', { items_total: 3, title, state: 'running', auto_complete: true })
    const { page, complaints } = await openPage(browser, { colorScheme: 'dark', viewport: { width: 360, height: 700 } })
    await page.goto(`${url}/#token=${token}&job=small`)
    await page.getByRole('heading', { name: title }).waitFor()
    for (const id of ['a', 'b', 'c']) await monitor.updateItemProgress('small', { id, title: `${title} ${id}`, state: 'completed' })
    await page.locator('.state.completed').waitFor()
    t.equal(await progressOf(page), 100)
    t.equal(await page.locator('.items img, h1 img').count(), 0, 'markup in titles stays text')
    t.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'nothing sticks out')
    t.same(complaints, [])
    await page.context().close()
  })

  await t.test('older jobs are shown on demand', async t => {
    const monitor = new ProgressMonitor({ redisUrl: redis.url, tenantId: 'many' })
    t.teardown(() => monitor.close())
    await Promise.all(Array.from({ length: 230 }, (_, n) => monitor.registerJob(`job-${n}`, { items_total: 1 })))
    const { page } = await openPage(browser)
    await page.goto(`${url}/#token=${await tokenOf(undefined, 'many')}`)
    await page.locator('.jobs > li').nth(199).waitFor()
    t.equal(await page.locator('.jobs > li').count(), 200)
    await page.getByRole('button', { name: 'Show older jobs' }).click()
    await page.locator('.jobs > li').nth(229).waitFor()
    t.equal(await page.locator('.jobs > li').count(), 230)
    t.notOk(await page.getByRole('button', { name: 'Show older jobs' }).isVisible(), 'there are no more')

    const problem = { code: 'redis_unavailable', detail: 'Redis cannot be reached.' }
    await page.route(/\/v1\/jobs/, route => route.fulfill({ status: 503, contentType: 'application/problem+json', json: problem }))
    await page.reload()
    await page.getByText('Older jobs could not be read. Redis cannot be reached.').waitFor()
    t.equal(await page.locator('.jobs > li').count(), 200, 'what the stream tells is there all the same')
    await page.unroute(/\/v1\/jobs/)
    await page.getByRole('button', { name: 'Show older jobs' }).click()
    await page.locator('.notice').waitFor({ state: 'hidden' })
    await page.getByRole('button', { name: 'Show older jobs' }).click()
    await page.locator('.jobs > li').nth(229).waitFor()
    await page.context().close()
  })
})
