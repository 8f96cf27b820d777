// How REDIS_URL is read: what cannot be is refused by a message that names it, and no message holds a password.

import t from 'tap'
import { connect, redacted } from '../../src/engine/connections.ts'

t.test('an address that cannot be read is refused, without its password', async (t) => {
  const wrong = [
    'http://user:s3cret@host:6379',
    'redis://user:s3cret@a:1,b:not-a-port',
    'redis+sentinel://user:s3cret@a:x/mymaster',
    'redis+cluster://user:p@s3cret/w@a:1:2,b'
  ]
  for (const url of wrong) {
    try {
      connect(url).close()
      t.fail(`${url} was taken`)
    } catch (error) {
      t.match(error, { code: 'invalid_field', message: /REDIS_URL/ })
      t.notMatch(String(error), /s3cret/)
    }
  }
})

t.test('one address is a single Redis, a list a Cluster, Sentinel a single one', async (t) => {
  const topologies = {
    'redis://127.0.0.1:1': 'single',
    'redis://127.0.0.1:1,127.0.0.1:2': 'cluster',
    'redis://127.0.0.1:1,redis://127.0.0.1:2': 'cluster',
    'redis+cluster://user:p%40ss@127.0.0.1:1': 'cluster',
    'redis+sentinel://127.0.0.1:1,127.0.0.1:2/mymaster': 'single'
  }
  for (const [url, topology] of Object.entries(topologies)) {
    const connections = connect(url)
    t.equal(connections.topology, topology, url)
    connections.close()
  }
})

t.test('user and password are percent-decoded for a Cluster, as for a single Redis', async (t) => {
  const connections = connect('redis+cluster://us%40er:p%40ss@127.0.0.1:1')
  const { redisOptions } = connections.command.options as { redisOptions: { username: string, password: string } }
  t.match(redisOptions, { username: 'us@er', password: 'p@ss' })
  connections.close()
})

t.test('a redacted address keeps its host', async (t) => {
  t.equal(redacted('redis://user:p@ss/w@host:6379/0'), 'redis://***@host:6379/0')
  t.equal(redacted('redis://host:6379'), 'redis://host:6379')
})
