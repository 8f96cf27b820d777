// A browser opens the page of a job that has left Redis: state, counters, items and timeline are there, and nothing to steer it with.

import t from 'tap'
import { readerOf, startHouse } from '../archive/support.ts'
import { item } from '../persister/support.ts'
import { barriers, openPage, progressOf, startBrowser } from './browser.ts'

t.setTimeout(180_000) // a browser starts slowly on a machine that runs all tests

const house = await startHouse(t)

t.test('the page of an archived job', async t => {
  const { url, engine, persist, gone } = await house.gateway(t, { HEADWAY_DASHBOARD: 'on' })
  const state = (to: string, reason: string | null = null) => ({ type: 'job.state' as const, tenant: 'acme', job: 'old', data: { state: to as 'failed', reason } })
  await engine.append([{ type: 'job.register', tenant: 'acme', job: 'old', data: { items_total: 70, state: 'running', title: 'Last summer' } }])
  for (let n = 0; n < 60; n += 30) await engine.append(Array.from({ length: 30 }, (_, m) => item('old', `v${n + m}`, 'completed', 'acme', { title: `Film ${n + m}` })))
  await engine.append([item('old', 'bad', 'failed', 'acme', { title: 'Broken reel', error: 'no sound' }), state('failed', 'tape_lost')])
  await persist()
  await gone('old')
  const { page, complaints } = await openPage(await startBrowser(t))
  await page.goto(`${url}/#token=${await readerOf('acme')}&job=old`)
  await page.getByRole('heading', { name: 'Last summer' }).waitFor()
  t.equal(await page.locator('.state.failed').count(), 1)
  t.ok(await page.getByText('Archived', { exact: true }).isVisible())
  t.equal(Math.round(await progressOf(page)), 86)
  await page.locator('.timeline').getByText('Failed').waitFor()
  await page.locator('.timeline').getByText('tape lost').waitFor()
  await page.getByRole('tab', { name: /Failures/ }).click()
  await page.locator('.failures').getByText('no sound').waitFor()
  await page.getByRole('tab', { name: 'Table' }).click()
  await page.getByText('Film 59').first().waitFor()
  for (const name of ['Pause', 'Resume', 'Cancel']) t.equal(await page.getByRole('button', { name, exact: true }).filter({ visible: true }).count(), 0, `no ${name}`)
  t.equal((await page.locator('#connection').textContent())?.trim(), '', 'it claims no connection')
  t.same(await barriers(page), [])
  await page.goto(`${url}/#token=${await readerOf('acme')}&job=never`)
  await page.getByText('There is no such job').waitFor()
  t.same(complaints, [])
})
