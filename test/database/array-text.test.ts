import fc from 'fast-check'
import t from 'tap'
import { arrayText } from '../../src/database/array-text.ts'
import { createTestDatabase, poolOf } from '../support/postgres.ts'

const database = await createTestDatabase()
t.teardown(() => database.drop())
const pool = poolOf(database.connection, { max: 1 })
t.teardown(() => pool.end())

async function sent(type: string, text: string): Promise<unknown> {
  return (await pool.query(`select $1::${type}[] as elements`, [text])).rows[0].elements
}

const storable = fc
  .string({ unit: fc.oneof(fc.constantFrom(...'"\\{},\n\t \u007f\u2028🦦é'), fc.string()) })
  .filter((text) => !text.includes('\0') && text.isWellFormed())
const texts = fc.oneof(
  storable,
  fc.json().filter((json) => json.isWellFormed()),
  fc.constantFrom('', 'null', 'NULL'),
)

t.test('PostgreSQL reads what was written', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.option(texts)), async (elements) => {
      t.strictSame(await sent('text', arrayText(elements)), elements)
    }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(fc.option(fc.uint8Array())), async (elements) => {
      const buffers = elements.map((bytes) => bytes && Buffer.from(bytes))
      t.strictSame(await sent('bytea', arrayText(buffers)), buffers)
    }),
  )
})

t.test('numbers and truth values', async (t) => {
  const longs = [1, -2, 9007199254740993n, null, undefined]
  const read = ['1', '-2', '9007199254740993', null, null]
  t.strictSame(await sent('bigint', arrayText(longs)), read)
  t.strictSame(await sent('boolean', arrayText([true, false])), [true, false])
})
