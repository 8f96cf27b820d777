// 100,000 items, every one reported by a worker, 5,000 of them failed: what is not seen is neither drawn, nor read, nor in the page.

import type { Page } from 'playwright-core'
import t from 'tap'
import { ProgressMonitor } from '../../src/worker/index.ts'
import { startRedis } from '../support/redis.ts'
import { until } from '../support/wait.ts'
import { barriers, openPage, startBrowser } from './browser.ts'
import { TENANT, startGatewayProcess, tokenOf } from './support.ts'

t.setTimeout(360_000) // 100,000 items on a machine that runs all tests

const TOTAL = 100_000
const JOB = 'catalogue'
/** Not confirmed yet at any time: the worker's own memory has a bound, too. */
const UNDER_WAY_MAX = 10_000

/** What becomes of an item, by its place. */
function fateOf (n: number): 'completed' | 'failed' | 'skipped' {
  return n % 20 === 7 ? 'failed' : n % 20 === 11 ? 'skipped' : 'completed'
}

const WORDS = { completed: 'Completed', failed: 'Failed', skipped: 'Skipped' }

async function fill (monitor: ProgressMonitor): Promise<void> {
  await monitor.registerJob(JOB, { items_total: TOTAL, title: 'The whole catalogue', state: 'running', item_kind: 'image' })
  for (let n = 0; n < TOTAL; n++) {
    const state = fateOf(n)
    const why = state === 'failed' ? { error: `no picture of ${n}${n % 3 === 0 ? `: ${'it was looked for everywhere. '.repeat(12)}` : ''}` } : {}
    void monitor.updateItemProgress(JOB, { id: `n${n}`, title: `Image ${n}`, state, ...why })
    if (n % UNDER_WAY_MAX === UNDER_WAY_MAX - 1) await monitor.flush()
  }
  await monitor.flush()
}

const elementsOf = (page: Page): Promise<number> => page.evaluate(() => document.querySelectorAll('*').length)

/** From the end to the beginning, a step a frame. @returns frames, and tasks longer than 50 ms meanwhile */
async function scrollUp (page: Page, selector: string, stepPx: number): Promise<{ frames: number, long_tasks: number }> {
  return await page.evaluate(async ({ selector, stepPx }) => {
    const box = document.querySelector(selector)
    if (box === null) throw new Error(`there is no ${selector}`)
    let longTasks = 0
    const observer = new PerformanceObserver(list => { longTasks += list.getEntries().length })
    observer.observe({ type: 'longtask' })
    let frames = 0
    while (box.scrollTop > 0) {
      box.scrollTop = Math.max(0, box.scrollTop - stepPx)
      await new Promise(resolve => requestAnimationFrame(resolve))
      frames++
    }
    longTasks += observer.takeRecords().length
    observer.disconnect()
    return { frames, long_tasks: longTasks }
  }, { selector, stepPx })
}

t.test('100,000 items that were all reported', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const { url } = await startGatewayProcess(t, redis.url)
  const monitor = new ProgressMonitor({ redisUrl: redis.url, tenantId: TENANT })
  t.teardown(() => monitor.close())
  await fill(monitor)
  const browser = await startBrowser(t)
  const { page, complaints } = await openPage(browser, { colorScheme: 'dark' })
  const reads: string[] = []
  page.on('request', request => { if (request.url().includes('/items?')) reads.push(request.url()) })
  await page.goto(`${url}/#token=${await tokenOf()}&job=${JOB}`)
  await page.locator('.counters .completed').getByText('90,000').waitFor({ timeout: 120_000 })
  const grid = page.getByRole('listbox')
  const told = page.locator('.chosen-item')

  await t.test('the grid: the right item everywhere, no more elements, only what is looked at is read', async t => {
    await grid.scrollIntoViewIfNeeded()
    await grid.focus()
    await grid.locator('.space').evaluate(space => { space.style.height = '0' }) // as it is until its first frame
    await page.keyboard.press('End')
    await told.getByText(`Image ${TOTAL - 1}: Completed`).waitFor()
    t.ok(await grid.evaluate(box => box.scrollTop > 10_000), 'the end is far down')
    const places = await Promise.all([grid, grid.locator('canvas')].map(one => one.boundingBox()))
    t.equal(places[1]?.y, places[0]?.y, 'what is drawn stays in sight')
    t.ok((places[1]?.height ?? 0) > 200)
    const before = await elementsOf(page)
    const { frames, long_tasks: longTasks } = await scrollUp(page, '.grid', 900)
    t.comment(`grid: ${frames} frames, ${longTasks} tasks longer than 50 ms`)
    t.ok(frames > 10)
    t.equal(await elementsOf(page), before, 'items are no elements')
    t.ok(reads.length < 60, `${reads.length} pages were read`)

    const box = await grid.boundingBox()
    for (const share of [0, 0.21, 0.5, 0.83]) {
      await grid.evaluate((element, to) => { element.scrollTop = Math.floor(element.scrollHeight * to / 16) * 16 }, share)
      await page.mouse.move((box?.x ?? 0) + 5, (box?.y ?? 0) + 60)
      await page.mouse.move((box?.x ?? 0) + 6 + 7 * 16, (box?.y ?? 0) + 70)
      const words = await until(async () => {
        const text = await told.innerText()
        return text.startsWith('Image') ? text : null
      }, { what: 'the page of items is read', timeout_ms: 30_000 })
      const n = Number(/^Image (\d+):/.exec(words)?.[1])
      t.match(words, `Image ${n}: ${WORDS[fateOf(n)]}`, `at ${share * 100} %`)
      t.ok(Math.abs(n - share * TOTAL) < TOTAL / 50, `item ${n} stands at ${share * 100} %`)
    }
    t.same(await barriers(page), [])
  })

  await t.test('the failures: every one is reached, few are in the page', async t => {
    await page.getByRole('tab', { name: /Failures/ }).click()
    const rows = page.locator('.failures li')
    await rows.first().waitFor()
    const before = await elementsOf(page)
    const last = Array.from({ length: TOTAL }, (_, n) => n).findLast(n => fateOf(n) === 'failed') ?? 0
    const box = page.getByRole('region', { name: 'Failed items' })
    await box.focus()
    let most = 0
    await until(async () => {
      await box.evaluate(element => { element.scrollTop = element.scrollHeight })
      most = Math.max(most, await rows.count())
      return await rows.getByText(`Image ${last}`, { exact: true }).count() > 0
    }, { what: 'the last failure', timeout_ms: 90_000 })
    await rows.getByText(new RegExp(`^no picture of ${last}`)).waitFor()
    const failed = Array.from({ length: TOTAL }, (_, n) => n).filter(n => fateOf(n) === 'failed').length
    t.equal(await rows.last().getAttribute('aria-setsize'), String(failed))
    t.equal(await rows.last().getAttribute('aria-posinset'), String(failed))
    const { frames, long_tasks: longTasks } = await scrollUp(page, '.scroll', 3000)
    t.comment(`failures: ${frames} frames, ${longTasks} tasks longer than 50 ms`)
    await rows.getByText('Image 7', { exact: true }).waitFor()
    t.ok(most < 60, `at most ${most} rows at once`)
    t.ok(await elementsOf(page) < before + 300)
    t.same(await barriers(page), [])

    await monitor.updateItemProgress(JOB, { id: 'n7', state: 'processing' })
    await rows.getByText('Image 7', { exact: true }).waitFor({ state: 'detached' })
    t.equal(await rows.first().getAttribute('aria-setsize'), String(failed - 1), 'one that is tried again is gone')
  })
  t.same(complaints, [])
})
