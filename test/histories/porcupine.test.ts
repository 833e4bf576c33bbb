import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { linearize, linearizeByKey } from './linearizability.ts'
import { casModel, parseCasLog, parseTextLog, textModel, textsModel } from './porcupine-logs.ts'

/** The folder `test_data` of github.com/anishathalye/porcupine, whose tests say what verdicts are right. */
const folder = process.env['PORCUPINE_HISTORIES']
const options = folder === undefined && { skip: 'PORCUPINE_HISTORIES names no folder of histories' }

const readHistory = (...path: string[]) => readFile(join(folder ?? '', ...path), 'utf8')

/** The logs of etcd that are linearizable; no verdict is published on the empty log 95. */
const linearizable = [
  2, 5, 7, 18, 25, 31, 38, 45, 48, 49, 51, 53, 56, 67, 75, 76, 80, 87, 92, 98, 100, 101, 102,
]
const numbers = Array.from({ length: 103 }, (_, index) => index).filter((number) => number !== 95)

t.test('102 logs of etcd have the verdicts that Porcupine gives', { ...options }, async (t) => {
  let operations = 0
  for (const number of numbers) {
    const name = `etcd_${String(number).padStart(3, '0')}.log`
    const history = parseCasLog(await readHistory('jepsen', name))
    operations += history.length
    const right = linearizable.includes(number) ? 'linearizable' : 'not linearizable'
    t.equal(linearize(history, casModel).verdict, right, name)
  }
  t.comment(`${operations} operations`)
})

for (const clients of ['c01', 'c10', 'c50']) {
  const title = `texts written by ${clients} have the verdicts that Porcupine gives, key by key`
  t.test(title, { ...options }, async (t) => {
    for (const [end, right] of [
      ['ok', 'linearizable'],
      ['bad', 'not linearizable'],
    ] as const) {
      const history = parseTextLog(await readHistory('kv', `${clients}-${end}.txt`))
      const { verdict, faults } = linearizeByKey(history, {
        model: textModel,
        keyOf: ({ input }) => input.key,
      })
      t.equal(verdict, right, `${history.length} operations`)
      t.equal(faults.length > 0, right === 'not linearizable')
    }
  })
}

for (const clients of ['c01', 'c10']) {
  t.test(`texts written by ${clients} have them all keys at once`, { ...options }, async (t) => {
    const ok = parseTextLog(await readHistory('kv', `${clients}-ok.txt`))
    t.equal(linearize(ok, textsModel).verdict, 'linearizable')
    const bad = parseTextLog(await readHistory('kv', `${clients}-bad.txt`))
    t.equal(linearize(bad, textsModel).verdict, 'not linearizable')
  })
}
