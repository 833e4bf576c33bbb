import t from 'tap'
import { allFields, hasUnwritableVoid, parseDecimal } from '../../src/delta/data-types.ts'
import { faultsMax } from '../../src/delta/faults.ts'
import {
  parseSchema,
  parseSchemaText,
  schemaDepthMax,
  schemaFieldsMax,
} from '../../src/delta/schema.ts'
import { column } from './support.ts'

const struct = (...fields: unknown[]) => ({ type: 'struct', fields })
const array = (elementType: unknown) => ({ type: 'array', elementType, containsNull: true })
const map = (keyType: unknown, valueType: unknown) => ({
  type: 'map',
  keyType,
  valueType,
  valueContainsNull: true,
})

function nested(depth: number): unknown {
  let type: unknown = 'long'
  for (let level = 0; level < depth; level++) type = array(type)
  return type
}

t.test('every type of Delta is read', async (t) => {
  const types = [
    'string',
    'long',
    'integer',
    'short',
    'byte',
    'float',
    'double',
    'boolean',
    'binary',
    'date',
    'timestamp',
    'timestamp_ntz',
    'variant',
    'void',
    'decimal(1,0)',
    'decimal(38, 38)',
    'decimal( 10 ,2 )',
    array('string'),
    map('string', array(struct(column('x')))),
    struct(column('x'), column('y', 'date')),
  ]
  const value = struct(...types.map((type, index) => column(`c${index}`, type as never)))
  t.same(parseSchema(value), { schema: value })
  t.same(parseSchemaText(JSON.stringify(value, null, 2)), { schema: value })
  t.same(parseSchema(struct()), { schema: struct() })
})

t.test('absent field metadata counts as empty', async (t) => {
  const { schema } = parseSchema(struct({ name: 'a', type: 'long', nullable: false }))
  t.same(schema, struct({ name: 'a', type: 'long', nullable: false, metadata: {} }))
})

t.test('every fault is told at its place', async (t) => {
  const cases: readonly [value: unknown, pointer: string, message: RegExp][] = [
    [null, '', /"type": "struct"/],
    [[], '', /"type": "struct"/],
    ['struct', '', /"type": "struct"/],
    [{ type: 'array' }, '', /"type": "struct"/],
    [{ type: 'struct' }, '/fields', /must be an array/],
    [{ type: 'struct', fields: {} }, '/fields', /must be an array/],
    [{ ...struct(), comment: 'x' }, '', /"comment"; allowed are "type", "fields"/],
    [struct(7), '/fields/0', /object with name, type/],
    [struct(column('a'), { ...column('b'), doc: '' }), '/fields/1', /"doc"/],
    [struct(column('')), '/fields/0/name', /must not be empty/],
    [struct({ ...column('a'), name: 1 }), '/fields/0/name', /must be a string/],
    [struct(column('a\0')), '/fields/0/name', /NUL/],
    [struct(column('a\ud800')), '/fields/0/name', /surrogate/],
    [struct(column('a b')), '/fields/0/name', /"a b" holds a space.*delta.columnMapping.mode/],
    [struct(column('Ab'), column('aB')), '/fields/1/name', /"aB" repeats "Ab"/],
    [struct({ ...column('a'), nullable: 'yes' }), '/fields/0/nullable', /true or false/],
    [struct({ ...column('a'), metadata: [] }), '/fields/0/metadata', /must be an object/],
    [struct({ ...column('a'), metadata: null }), '/fields/0/metadata', /must be an object/],
    [
      struct(column('a', 'int')),
      '/fields/0/type',
      /"int" is not a type of Delta; allowed are string/,
    ],
    [struct(column('a', 'constructor')), '/fields/0/type', /is not a type/],
    [struct(column('a', 'decimal')), '/fields/0/type', /decimal\(p,s\) with 1/],
    [struct(column('a', 'decimal(39,0)')), '/fields/0/type', /is not a type/],
    [struct(column('a', 'decimal(0,0)')), '/fields/0/type', /is not a type/],
    [struct(column('a', 'decimal(5,6)')), '/fields/0/type', /is not a type/],
    [struct(column('a', 7 as never)), '/fields/0/type', /name of a type or an object/],
    [struct(column('a', { type: 'udt' } as never)), '/fields/0/type', /struct, array or map/],
    [struct(column('a', array('x') as never)), '/fields/0/type/elementType', /is not a type/],
    [
      struct(column('a', { type: 'array', elementType: 'long' } as never)),
      '/fields/0/type/containsNull',
      /true or false/,
    ],
    [struct(column('a', map('x', 'long') as never)), '/fields/0/type/keyType', /is not a type/],
    [struct(column('a', map('long', 'x') as never)), '/fields/0/type/valueType', /is not a type/],
    [
      struct(column('a', { type: 'map', keyType: 'long', valueType: 'long' } as never)),
      '/fields/0/type/valueContainsNull',
      /true or false/,
    ],
    [
      struct(column('a', array(struct(column('b', 'x'))) as never)),
      '/fields/0/type/elementType/fields/0/type',
      /is not a type/,
    ],
  ]
  for (const [value, pointer, message] of cases) {
    const { faults } = parseSchema(value)
    t.equal(faults?.length, 1, JSON.stringify(value))
    t.equal(faults?.[0]?.pointer, pointer)
    t.match(faults?.[0]?.message, message)
  }
})

t.test('column mapping frees names from the limits of Parquet', async (t) => {
  const value = struct(column('a b'), column('c=d'))
  t.same(parseSchema(value, { columnMapping: true }), { schema: value })
  for (const char of ' ,;{}()\n\t=') {
    t.equal(parseSchema(struct(column(`a${char}b`))).faults?.length, 1, JSON.stringify(char))
  }
  t.ok(parseSchema(struct(column('a.b-c/d~e'))).schema)
})

t.test('all faults are listed, up to a bound', async (t) => {
  const many = struct(...Array.from({ length: 150 }, () => column('', 'x')))
  t.equal(parseSchema(many).faults?.length, faultsMax)
  const two = parseSchema(struct(column('a', 'x'), column('b', 'y'))).faults
  t.same(
    two?.map((fault) => fault.pointer),
    ['/fields/0/type', '/fields/1/type'],
  )
})

t.test('nesting is bounded', async (t) => {
  t.ok(parseSchema(struct(column('a', nested(schemaDepthMax - 1) as never))).schema)
  t.match(parseSchema(struct(column('a', nested(schemaDepthMax) as never))).faults, [
    { message: /nests deeper than 100/ },
  ])
  let deep: unknown = struct()
  for (let level = 1; level < schemaDepthMax; level++) deep = struct(column('a', deep as never))
  t.ok(parseSchemaText(JSON.stringify(deep)).schema)
  const deeper = `${'{"type":'.repeat(5000)}1${'}'.repeat(5000)}`
  t.match(parseSchemaText(deeper).faults, [{ pointer: '', message: /nests deeper/ }])
})

t.test('the number of fields is bounded, nested ones included', async (t) => {
  const columns = (count: number) =>
    Array.from({ length: count }, (_, index) => column(`c${index}`))
  t.ok(parseSchema(struct(...columns(schemaFieldsMax))).schema)
  const inner = struct(...columns(schemaFieldsMax)) as never
  const { faults } = parseSchema(struct(column('a', inner), column('b', inner)))
  t.match(faults, [{ pointer: '/fields/0/type/fields', message: /more than 10000 fields/ }])
  t.equal(faults?.length, 1)
})

t.test('text that is no JSON is a fault, not an exception', async (t) => {
  t.match(parseSchemaText('{"type":').faults, [{ pointer: '', message: /^is not JSON: / }])
})

t.test('all fields are found, with their places', async (t) => {
  const value = struct(
    column('a', array(struct(column('b'))) as never),
    column('m', map(struct(column('k')), struct(column('v'))) as never),
  )
  const { schema } = parseSchema(value)
  t.same(schema && [...allFields(schema)].map(({ path, pointer }) => [path, pointer]), [
    ['a', '/fields/0'],
    ['a.element.b', '/fields/0/type/elementType/fields/0'],
    ['m', '/fields/1'],
    ['m.key.k', '/fields/1/type/keyType/fields/0'],
    ['m.value.v', '/fields/1/type/valueType/fields/0'],
  ])
})

t.test('precision and scale of a decimal', async (t) => {
  t.same(parseDecimal('decimal(10,2)'), { precision: 10, scale: 2 })
  t.equal(parseDecimal('decimal(10)'), undefined)
  t.equal(parseDecimal('string'), undefined)
})

t.test('void columns that no file can hold are known', async (t) => {
  const cases: readonly [fields: unknown[], unwritable: boolean][] = [
    [[], false],
    [[column('a')], false],
    [[column('a'), column('b', 'void')], false],
    [[column('a', 'void')], true],
    [[column('a'), column('s', struct(column('x', 'void')) as never)], true],
    [[column('a'), column('s', struct(column('x', 'void'), column('y')) as never)], false],
    [[column('a'), column('s', array('void') as never)], true],
    [[column('a'), column('s', map('long', 'void') as never)], true],
    [[column('a'), column('s', array(struct(column('x', 'void'), column('y'))) as never)], true],
    [[column('a'), column('s', map('long', 'long') as never)], false],
  ]
  for (const [fields, unwritable] of cases) {
    const { schema } = parseSchema(struct(...fields))
    t.equal(schema && hasUnwritableVoid(schema), unwritable, JSON.stringify(fields))
  }
})
