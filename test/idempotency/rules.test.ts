import t from 'tap'
import { inProgress, isFinal, replay } from '../../src/idempotency/rules.ts'

const request = { key: 'k', requestHash: Buffer.from('one') }
const answer = { status: 201, headers: { location: '/x' }, body: '{}' }

t.test('the same request gets the answer that was kept', async (t) => {
  t.strictSame(replay(request, { ...request, ...answer }), answer)
})

t.test('another request with the key is refused', async (t) => {
  const kept = { ...request, ...answer, requestHash: Buffer.from('other') }
  t.match(replay(request, kept), { code: 'idempotency-key-reused', status: 422 })
})

t.test('while the first request runs, the second is told to come again', async (t) => {
  t.match(inProgress(request), {
    code: 'idempotency-in-progress',
    status: 409,
    headers: { 'retry-after': '1' },
  })
})

t.test('what a repetition may mend is not kept', async (t) => {
  const finals = [200, 201, 409, 413, 422]
  const passing = [404, 429, 500, 503]
  t.strictSame(
    [...finals, ...passing].filter((status) => isFinal({ ...answer, status })),
    finals,
  )
})
