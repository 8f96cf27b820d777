// What people see, in a real Chromium: the same truth after a reload and on another gateway, tenants apart; the
// element and the React hooks on a page of somebody else's.

import t from 'tap'
import { ProgressMonitor } from '../../src/worker/index.ts'
import { startRedis } from '../support/redis.ts'
import { until } from '../support/wait.ts'
import { barriers, openPage, progressOf, startBrowser } from './browser.ts'
import { serveEmbedded } from './embedded/serve.ts'
import { TENANT, startBalancer, startGatewayProcess, tokenOf } from './support.ts'

t.setTimeout(240_000) // processes start slowly on a machine that runs all tests

const EMBEDDED = '<headway-progress job="embedded" controls wait-ms="10000"></headway-progress><div id="root"></div>'

t.test('the faces', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const open = { HEADWAY_ALLOWED_ORIGINS: '*' }
  const gateways = await Promise.all([startGatewayProcess(t, redis.url, open), startGatewayProcess(t, redis.url, open)])
  const url = await startBalancer(t, gateways.map(({ port }) => port))
  const browser = await startBrowser(t)
  const [mine, theirs] = [TENANT, 'other'].map(tenantId => new ProgressMonitor({ redisUrl: redis.url, tenantId })) as [ProgressMonitor, ProgressMonitor]
  t.teardown(() => Promise.all([mine.close(), theirs.close()]))
  const [token, otherToken] = await Promise.all([tokenOf(), tokenOf(['jobs:read', 'jobs:control'], 'other')])

  await mine.registerJob('job', { items_total: 40, title: 'Mine', state: 'running', auto_complete: true })
  await theirs.registerJob('job', { items_total: 5, title: 'Theirs', state: 'running' })
  for (let n = 0; n < 20; n++) void mine.updateItemProgress('job', { id: `i${n}`, state: n % 5 === 4 ? 'failed' : 'completed', error: 'it broke' })
  await mine.flush()

  await t.test('the list is live, is searched and filtered, and shows a tenant its own only', async t => {
    const { page, complaints } = await openPage(browser)
    await page.goto(`${url}/#token=${token}`)
    await page.getByRole('link', { name: 'Mine' }).waitFor()
    t.equal(await page.getByRole('link', { name: 'Theirs' }).count(), 0)
    await mine.registerJob('paused', { title: 'Held', state: 'pending' })
    await page.getByRole('link', { name: 'Held' }).waitFor()
    await page.getByRole('button', { name: /^Active/ }).click()
    await page.getByRole('searchbox').fill('hEl')
    await page.getByRole('link', { name: 'Mine' }).waitFor({ state: 'detached' })
    t.equal(await page.locator('.job').count(), 1)
    await page.getByRole('button', { name: /^Failed/ }).click()
    await page.getByText('No job like this').waitFor()
    t.same(await barriers(page), [])
    t.same(complaints, [])
    const other = (await openPage(browser)).page
    await other.goto(`${url}/#token=${otherToken}`)
    await other.getByRole('link', { name: 'Theirs' }).waitFor()
    t.equal(await other.locator('.job').count(), 1)
    await Promise.all([page, other].map(one => one.context().close()))
  })

  await t.test('a reload and a killed gateway show the same truth, with timeline, failures and times in UTC for who asks', async t => {
    const { page } = await openPage(browser, { timezoneId: 'Asia/Tokyo' })
    await page.goto(`${url}/#token=${token}&job=job`)
    await page.locator('#connection').getByText('Live').waitFor()
    const truth = async (): Promise<string> => `${await progressOf(page)} ${await page.locator('.counters').innerText()}`
    const before = await truth()
    t.match(before, /^40 /)
    await page.reload()
    await page.locator('#connection').getByText('Live').waitFor()
    t.equal(await truth(), before)
    t.match(await page.locator('.timeline time').last().getAttribute('title'), /UTC$/)
    await page.getByRole('tab', { name: 'Grid' }).focus()
    await page.keyboard.press('End')
    await page.locator('.failures li').nth(3).waitFor()
    t.match(await page.locator('.failures pre').first().innerText(), /it broke/)
    t.same(await barriers(page), [])

    await gateways[0]?.child.end('SIGKILL')
    for (let n = 20; n < 40; n++) void mine.updateItemProgress('job', { id: `i${n}`, state: 'completed' })
    await mine.flush()
    await page.locator('.state.completed').waitFor()
    const after = await truth()
    t.match(after, /^90 /)
    await page.reload()
    await page.locator('.state.completed').waitFor()
    t.equal(await truth(), after)
    await page.locator('.timeline').getByText('Completed').waitFor()
    await page.locator('.plot canvas, .plot[hidden]').first().waitFor({ state: 'attached' })
    await page.context().close()
  })

  await t.test('the element and the hooks on another page: they move, hold, go on and end', async t => {
    const gateway = gateways[1]?.url ?? ''
    const { page, complaints } = await openPage(browser)
    await page.goto(`${await serveEmbedded(t, gateway, EMBEDDED)}/#url=${gateway}&token=${token}`)
    await mine.registerJob('embedded', { items_total: 3, title: 'Embedded', state: 'running', auto_complete: true })
    const bar = page.locator('headway-progress').getByRole('progressbar', { name: 'Embedded' })
    await bar.waitFor()
    await mine.updateItemProgress('embedded', { id: 'a', state: 'completed' })
    await page.locator('#react').getByText('1 completed, running, live').waitFor()
    t.match(await bar.getAttribute('aria-valuetext'), /^33,3/, 'in the language of the page')
    t.match(await page.locator('#jobs').innerText(), /embedded/)
    t.same(await barriers(page), [])
    await page.getByRole('button', { name: 'Hold' }).click()
    await until(async () => (await mine.control('embedded')).state === 'pausing', { what: 'the pause arrives' })
    await mine.updateJobState('embedded', 'paused')
    await page.getByRole('button', { name: 'Go on' }).waitFor()
    await page.getByRole('button', { name: 'Resume by React' }).click()
    await page.locator('#react').getByText('running, live').waitFor()
    for (const id of ['b', 'c']) await mine.updateItemProgress('embedded', { id, state: 'completed' })
    await page.locator('#react').getByText('3 completed, completed, ended').waitFor()
    await until(async () => await page.title() === 'completed', { what: 'headway-end is told' })
    t.equal(await bar.getAttribute('aria-valuenow'), '100')
    await page.getByRole('button', { name: 'Resume by React' }).click()
    await page.locator('#control').getByText('invalid_transition').waitFor()
    t.same(complaints, [])
    await page.context().close()
  })
})
