// H7 for long items: one in process is shown to who resumes, however many quick ones were logged beside it.

import t from 'tap'
import { Client, privateRedis, startGateway, tokenOf } from './support.ts'

t.test('an item in process that was logged long ago is shown to who resumes', async t => {
  const redis = await privateRedis(t)
  const { engine, url } = await startGateway(t, redis)
  const token = await tokenOf()
  const address = { tenant: 'acme', job: 'j' }
  await engine.submit({ ...address, type: 'job.register', data: { items_total: 300, state: 'running' } })
  await engine.submit({ ...address, type: 'item.update', data: { id: 'long', state: 'processing', percent_complete: 10 } })
  for (let n = 0; n < 120; n += 20) {
    await engine.append(Array.from({ length: 20 }, (_, k) => ({ ...address, type: 'item.update' as const, data: { id: `quick${n + k}`, state: 'completed' } })))
  }
  await engine.submit({ ...address, type: 'item.update', data: { id: 'second', state: 'processing', percent_complete: 5 } })
  const first = await new Client(`${url}/?job_id=j&token=${token}`).open()
  const { data: { epoch }, seq } = await first.of('job.snapshot')
  first.socket.close()
  await first.end()
  await engine.submit({ ...address, type: 'item.update', data: { id: 'long', percent_complete: 80 } })
  const back = await new Client(`${url}/?job_id=j&token=${token}&since=${String(epoch)}.${seq}`).open()
  await back.of('job.progress')
  const shown = back.messages.filter(({ type }) => type === 'video.progress').map(({ data }) => [data['id'], data['percent_complete']])
  t.same(shown.sort(), [['long', 80], ['second', 5]])
  const read = await engine.readJob('acme', 'j', seq)
  t.same(read?.open.map(({ id }) => id), ['long'], 'the other one is among those logged last')
  t.same((await engine.readJob('acme', 'j'))?.open, [], 'a snapshot has no need of them')
  back.socket.close()
})
